"""Buffer of the lines of a log, limited in number and memory. Independent of terminals and widgets."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from relay_tui.domain.log_batch import CONTINUED, EMPTY_BATCH, NOTICE, STREAM_BITS, TIMELESS, LogBatch, pack_times
from relay_tui.text.sanitize import clean_block
from relay_tui.ui.log.model.continuations import ContinuationIndex

LINES = 100_000
BYTES = 64 << 20
_SMALL = 8 * 1024  # bytes up to which the next batch is joined to a block, so that single lines have little overhead
_PER_LINE = 9
_PER_BLOCK = 400


class LogLine(NamedTuple):
    """One raw line, escape sequences included. `continued`: a continuation line of a line that was too long."""

    raw: str
    stream: int
    continued: bool = False
    time: bytes = b""
    log: int = 0
    """Number of its log in a merged log."""
    name: str = ""
    """Name of its log at the start of `raw`, in a merged log."""


class LogicalLine(NamedTuple):
    """Line that may have arrived in pieces: the number of its first piece, and those of all loaded pieces."""

    head: int
    pieces: list[int]


class LogBuffer:
    """Newest lines of a log, as the engine sent them. For one thread.

    Lines have absolute numbers that never change: `first` is the oldest line kept, `end` the next one. So a
    reader's position stays valid while old lines are trimmed or older ones are prepended. Adding a batch has no cost
    per line.
    """

    def __init__(self, max_lines: int = LINES, max_bytes: int = BYTES) -> None:
        self.max_lines = max(max_lines, 1)
        self.max_bytes = max_bytes
        self._blocks: list[LogBatch] = []
        self._origins: list[int] = []  # number of each block's first line, trimmed or not
        self._continuations = ContinuationIndex()
        self._first = self._end = self._size = self._dropped = 0
        self._partial = EMPTY_BATCH

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def first(self) -> int:
        """Absolute number of the oldest line kept."""
        return self._first

    @property
    def end(self) -> int:
        """Absolute number of the next line to arrive."""
        return self._end

    @property
    def dropped(self) -> int:
        """Number of lines trimmed since the last `clear`."""
        return self._dropped

    @property
    def size(self) -> int:
        """Approximate memory use of the kept lines, in bytes."""
        return self._size

    @property
    def room(self) -> int:
        """Number of lines that fit before the first."""
        if not self._end - self._first:
            return self.max_lines
        by_size = (self.max_bytes - self._size) * len(self) // max(self._size, 1)
        return max(0, min(self.max_lines - len(self), by_size))

    @property
    def blocks(self) -> list[LogBatch]:
        """Batches of lines as they arrived. The first batch may start with trimmed lines."""
        return list(self._blocks)

    @property
    def partial_line(self) -> list[LogLine]:
        """Partial lines. They have no numbers, and are not part of the other lines."""
        return [_line(self._partial, index) for index in range(len(self._partial))]

    def set_partial(self, lines: LogBatch) -> None:
        """Set the partial lines, replacing all earlier ones."""
        self._partial = lines

    def copy(self) -> LogBuffer:
        """Return the current lines and partial lines for another thread, without copying bytes."""
        clone = LogBuffer(len(self) + len(self._partial), sys.maxsize)
        clone._blocks, clone._origins = list(self._blocks), list(self._origins)
        clone._continuations = self._continuations.copy()
        clone._first, clone._end = self._first, self._end
        clone.append(self._partial)
        return clone

    def line(self, number: int) -> LogLine:
        """Return the line with an absolute number. Raises IndexError if the line is not in the buffer."""
        if not self._first <= number < self._end:
            raise IndexError(number)
        at = bisect_right(self._origins, number) - 1
        return _line(self._blocks[at], number - self._origins[at])

    def lines(self, start: int, stop: int) -> Iterator[tuple[int, LogLine]]:
        """Yield numbers and lines of a range, as far as they are in the buffer."""
        number, stop = max(start, self._first), min(stop, self._end)
        at = bisect_right(self._origins, number) - 1
        while number < stop:
            block, origin = self._blocks[at], self._origins[at]
            for index in range(number - origin, min(len(block), stop - origin)):
                yield origin + index, _line(block, index)
            number = origin + len(block)
            at += 1

    @property
    def in_pieces(self) -> bool:
        """Whether any line arrived in pieces."""
        return bool(self._continuations)

    def logical_line(self, number: int, line: LogLine) -> LogicalLine:
        """Return the complete line of a piece. Lines of other streams may be between its pieces."""
        head, rest = self._continuations.find(number, (line.log, line.stream))
        return LogicalLine(head, [head, *rest] if head >= self._first else list(rest))

    def pieces_before(self, line: LogLine) -> list[int]:
        """Return the pieces that a partial line continues."""
        head = self._continuations.latest((line.log, line.stream)) if line.continued else None
        return [] if head is None or head < self._first else self.logical_line(head, line).pieces

    def append(self, batch: LogBatch) -> None:
        """Add a batch, and drop the oldest lines if a limit is exceeded."""
        if not batch:
            return
        self._continuations.append(batch, self._end)
        if self._blocks and _has_room(self._blocks[-1], batch):
            self._size -= _memory_size(self._blocks[-1])
            self._blocks[-1] = _joined(self._blocks[-1], batch)
        else:
            self._blocks.append(batch)
            self._origins.append(self._end)
        self._size += _memory_size(self._blocks[-1])
        self._end += len(batch)
        self._trim()

    def prepend(self, batches: list[LogBatch]) -> int:
        """Insert older lines before the first, as far as there is room. Return their number."""
        before = self._first
        if self._blocks and self._first > self._origins[0]:
            return 0  # there was no room: lines were trimmed here
        for batch in reversed(batches):
            room = self.room
            if room < len(batch):
                batch = batch.only(range(len(batch) - room, len(batch)))
            if batch:
                self._first -= len(batch)
                self._continuations.prepend(batch, self._first)
                self._blocks.insert(0, batch)
                self._origins.insert(0, self._first)
                self._size += _memory_size(batch)
            if room <= len(batch):
                break
        return before - self._first

    def append_notice(self, text: str) -> None:
        """Append a notice by relay."""
        lines = [line.encode() for line in clean_block(text).split("\n")]
        self.append(pack_times(lines, bytes([NOTICE | TIMELESS]) * len(lines)))

    def clear(self) -> None:
        """Remove every line. Numbering continues, so that an old number never refers to a new line."""
        self._first = self._end
        self._blocks.clear()
        self._origins.clear()
        self._continuations = ContinuationIndex()
        self._size = self._dropped = 0
        self._partial = EMPTY_BATCH

    def _trim(self) -> None:
        """Apply the limits. Whole blocks are dropped; in the first remaining block, trimmed lines are skipped."""
        gone = 0
        while gone < len(self._blocks) - 1:
            if self._size <= self.max_bytes and self._end - self._origins[gone + 1] < self.max_lines:
                break
            self._size -= _memory_size(self._blocks[gone])
            gone += 1
        first = max(self._first, self._origins[gone], self._end - self.max_lines)
        del self._blocks[:gone], self._origins[:gone]
        self._dropped += first - self._first
        if first > self._first and self._continuations:
            self._continuations.forget(first)
        self._first = first


def _line(block: LogBatch, index: int) -> LogLine:
    time, text = block.parts(index)
    flags = block.flags[index]
    raw = text.decode("utf-8", "replace")
    if not block.logs:
        return LogLine(raw, flags & STREAM_BITS, bool(flags & CONTINUED), time)
    name = text[: block.names[index]].decode("utf-8", "replace")
    return LogLine(raw, flags & STREAM_BITS, bool(flags & CONTINUED), time, block.logs[index], name)


def _has_room(block: LogBatch, batch: LogBatch) -> bool:
    """Return whether a block has room for a batch."""
    return len(block.data) + len(batch.data) <= _SMALL and bool(block.logs) is bool(batch.logs)


def _memory_size(block: LogBatch) -> int:
    return len(block.data) + _PER_LINE * len(block) + _PER_BLOCK


def _joined(one: LogBatch, other: LogBatch) -> LogBatch:
    shift = len(one.data)
    starts, ends = array("I", one.starts), array("I", one.ends)
    starts.extend(at + shift for at in other.starts)
    ends.extend(at + shift for at in other.ends)
    logs, names = array("I", one.logs), array("I", one.names)
    logs.extend(other.logs)
    names.extend(other.names)
    return LogBatch(one.data + other.data, starts, ends, one.flags + other.flags, logs, names)
