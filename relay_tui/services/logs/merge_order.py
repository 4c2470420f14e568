"""Order of the lines of several logs: by time, within a window. No line is dropped.

Within one log, lines that are out of order by less than a second are sorted, because the engine stamps the two streams
separately. If a clock was set back, the lines keep the order of their arrival.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from relay_tui.domain.log_batch import CONTINUED, EMPTY_BATCH, NOTICE, STREAM_BITS, TIMELESS, LogBatch, pack_times
from relay_tui.services.logs.resume import comparable, seconds
from relay_tui.text.ansi import HOME

SWAP = 1.0  # seconds: a line that is older than its predecessor by less than this is moved before it


_BEHIND = b"~"  # suffix that sorts after the same moment, and before the next moment


_HOME = HOME.encode()


_MOVES = re.compile(rb"[\r\b\x1b\x9b]")  # characters with which a line can move the cursor back and overwrite itself


class Line(NamedTuple):
    """Line with its sort key: moment, then log, then order of arrival."""

    moment: bytes
    log: int
    number: int
    time: bytes
    text: bytes
    flags: int


class Timeline:
    """Sort keys for the lines of one log. A line without a time follows the line before it.

    A notice without a time and without an earlier line follows the lines of all other logs.

    A continuation line has the moment of its first piece, so lines written in between follow it.
    """

    def __init__(self, log: int) -> None:
        self._log = log
        self._number = 0
        self._begun: dict[int, bytes] = {}  # by stream, the moment of the line that continuation lines belong to
        self.last = b""
        """Moment of the latest line."""
        self.stuck = False
        """Whether lines are much older than their predecessors, so that arrival order is kept."""

    def lines(self, batches: Iterable[LogBatch]) -> list[Line]:
        """Return the lines of the batches with their sort keys."""
        result: list[Line] = []
        for batch in batches:
            flags = batch.flags
            for index in range(len(batch)):
                time, text = batch.parts(index)
                flag = flags[index] if time else flags[index] | TIMELESS
                if flag & CONTINUED:
                    moment = self._begun.get(flag & STREAM_BITS, self.last)
                else:
                    moment = comparable(time) if time else self.last or (_BEHIND if flag & NOTICE else b"")
                    if moment < self.last and _far(moment, self.last):
                        moment, self.stuck = self.last, True
                    self._begun[flag & STREAM_BITS] = moment
                self._number += 1
                result.append(Line(moment, self._log, self._number, time, text, flag))
                self.last = max(moment, self.last) if time else self.last
        return result

    def notice(self, text: str, after: bytes = b"") -> Line:
        """Return a notice by relay that follows all lines so far and the moment `after`."""
        self._number += 1
        self.last = max(self.last, after)
        return Line(self.last + _BEHIND, self._log, self._number, b"", text.encode(), NOTICE | TIMELESS)

    def forget(self) -> None:
        """Forget the latest moment, so that the next lines are ordered by their times alone."""
        self.last, self.stuck = b"", False


def _far(one: bytes, other: bytes) -> bool:
    """Return whether two times are further apart than the reordering within one log."""
    if one[:19] == other[:19]:
        return False
    first, second = seconds(one), seconds(other)
    return first is None or second is None or abs(first - second) > SWAP


class ReorderWindow:
    """Buffer that holds lines back for a moment. Earlier lines of other logs may arrive later."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._lines: list[Line] = []
        self._waits: deque[tuple[float, Line]] = deque()
        self.size = 0
        """Bytes of text in the window."""

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def last(self) -> bytes:
        """Latest moment in the window; b"" if the window is empty."""
        return self._lines[-1].moment if self._lines else b""

    def add(self, lines: Sequence[Line], now: float) -> None:
        """Add lines that arrived at `now`."""
        if lines:
            self._lines += lines
            self._lines.sort()
            self._waits.append((now, max(lines)))
            self.size += sum(len(line.text) for line in lines)

    def due(self, now: float) -> list[Line]:
        """Return the lines that have waited long enough, and all lines before them."""
        end = 0
        while self._waits and self._waits[0][0] <= now - self._hold:
            end = max(end, bisect_right(self._lines, self._waits.popleft()[1]))
        due = self._lines[:end]
        del self._lines[:end]
        self.size -= sum(len(line.text) for line in due)
        return due


def with_source(lines: Sequence[Line], labels: Mapping[int, bytes], before: int = 0) -> LogBatch:
    """Return the lines with the labels of their logs before them. `before` is the log of the previous line.

    A continuation line directly after its line has no label, because both are shown as one line. Elsewhere it has a
    label but no time: its time is that of the first piece, and later lines precede it.
    """
    pieces: list[bytes] = []
    flags = bytearray()
    names = array("I")
    for line in lines:
        apart = not line.flags & CONTINUED or line.log != before
        label = labels.get(line.log, b"") if apart else b""
        if label and _MOVES.search(line.text):
            label += _HOME  # a carriage return moves to the line's own start, not into the name
        flag = line.flags | TIMELESS if line.flags & CONTINUED and apart else line.flags
        head = b"" if flag & TIMELESS else line.time + b" "
        pieces.append(head + label + line.text)
        flags.append(flag)
        names.append(len(label))
        before = line.log
    return pack_times(pieces, bytes(flags), array("I", (line.log for line in lines)), names)


class PartialLine:
    """Partial line of one log, timed by a monotonic clock."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._came: float | None = None
        self._ended: float | None = None
        self.shown: LogBatch = EMPTY_BATCH
        """Partial lines to show now."""

    def update(self, lines: LogBatch, now: float) -> None:
        """Set the partial lines."""
        if lines:
            self._ended = None
            self._came = now if self._came is None else self._came
            if now - self._came >= self._hold:
                self.shown = lines
            return
        self._came = None
        if self.shown:
            self._ended = now if self._ended is None else self._ended
            if now - self._ended >= self._hold:
                self.shown, self._ended = EMPTY_BATCH, None

    @property
    def waits(self) -> bool:
        """Whether the partial line will change state as time passes."""
        return self._ended is not None or (self._came is not None and not self.shown)
