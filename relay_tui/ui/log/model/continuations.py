"""Index of the pieces of long lines. Lines of another stream may be between the pieces of one line."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from relay_tui.domain.log_batch import CONTINUED, STDERR, STDOUT, STREAM_BITS, TIMELESS, LogBatch

_PIECE = re.compile(bytes([91, *(CONTINUED | s | t for s in (STDOUT, STDERR) for t in (0, TIMELESS)), 93]))

Key = tuple[int, int]
"""Log number and stream of a line."""


class _Pieces:
    """Continuation lines of one stream: their numbers, and the numbers of the first pieces of their lines."""

    __slots__ = ("heads", "numbers")

    def __init__(self) -> None:
        self.numbers = array("q")
        self.heads = array("q")


class ContinuationIndex:
    """Index of the pieces of every line that arrived in pieces. A log without such lines costs nothing."""

    def __init__(self) -> None:
        self._pieces: dict[Key, _Pieces] = {}
        self._latest: dict[Key, int] = {}  # number of the first piece of the current line, by stream

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def copy(self) -> ContinuationIndex:
        """Return an independent copy."""
        clone = ContinuationIndex()
        clone._latest = dict(self._latest)
        for key, pieces in self._pieces.items():
            clone._pieces[key] = copied = _Pieces()
            copied.numbers, copied.heads = pieces.numbers[:], pieces.heads[:]
        return clone

    def latest(self, key: Key) -> int | None:
        """Return the start of the current line of a stream."""
        return self._latest.get(key)

    def append(self, batch: LogBatch, origin: int) -> None:
        """Add lines that are numbered from `origin` on."""
        for key, number, head in _find_continuations(batch, origin, self._latest):
            pieces = self._pieces.setdefault(key, _Pieces())
            pieces.numbers.append(number)
            pieces.heads.append(head)

    def prepend(self, batch: LogBatch, origin: int) -> None:
        """Add lines before all others. A continuation line without a known first piece may belong to one of them."""
        latest: dict[Key, int] = {}
        earlier = ContinuationIndex()
        for key, number, head in _find_continuations(batch, origin, latest):
            pieces = earlier._pieces.setdefault(key, _Pieces())
            pieces.numbers.append(number)
            pieces.heads.append(head)
        for key, pieces in self._pieces.items():
            orphan = pieces.heads[0]
            if key in latest and orphan == pieces.numbers[0]:
                for at in range(bisect_right(pieces.heads, orphan)):
                    pieces.heads[at] = latest[key]
                if self._latest.get(key) == orphan:
                    self._latest[key] = latest[key]
        for key, pieces in earlier._pieces.items():
            later = self._pieces.get(key)
            if later is not None:
                pieces.numbers.extend(later.numbers)
                pieces.heads.extend(later.heads)
            self._pieces[key] = pieces
        self._latest = latest | self._latest

    def forget(self, first: int) -> None:
        """Drop the lines before `first`. The rest of a line keeps the number of its first piece."""
        for key in list(self._pieces):
            pieces = self._pieces[key]
            gone = bisect_left(pieces.numbers, first)
            del pieces.numbers[:gone], pieces.heads[:gone]
            if not pieces.numbers:
                del self._pieces[key]

    def find(self, number: int, key: Key) -> tuple[int, array[int]]:
        """Return the number of the first piece of a line, and the numbers of its other pieces."""
        pieces = self._pieces.get(key)
        if pieces is None:
            return number, _NONE
        at = bisect_left(pieces.numbers, number)
        continues = at < len(pieces.numbers) and pieces.numbers[at] == number
        head = pieces.heads[at] if continues else number
        begin, end = bisect_left(pieces.heads, head), bisect_right(pieces.heads, head)
        if begin < end and pieces.numbers[begin] == head:
            begin += 1
        return head, pieces.numbers[begin:end]


_NONE: array[int] = array("q")


def _find_continuations(batch: LogBatch, origin: int, latest: dict[Key, int]) -> Iterator[tuple[Key, int, int]]:
    """Yield each continuation line with the number of its first piece, and update `latest`.

    A continuation line without a known first piece counts as the first piece.
    """
    flags = batch.flags
    if batch.logs:
        for at, (log, flag) in enumerate(zip(batch.logs, flags, strict=True)):
            key = log, flag & STREAM_BITS
            if flag & CONTINUED:
                yield key, origin + at, latest.setdefault(key, origin + at)
            else:
                latest[key] = origin + at
        return
    for match in _PIECE.finditer(flags):
        at = match.start()
        stream = flags[at] & STREAM_BITS
        head = _last_start(flags, stream, at)
        if head >= 0:
            latest[0, stream] = origin + head
        yield (0, stream), origin + at, latest.setdefault((0, stream), origin + at)
    for stream in (STDOUT, STDERR):
        if (head := _last_start(flags, stream, len(flags))) >= 0:
            latest[0, stream] = origin + head


def _last_start(flags: bytes, stream: int, end: int) -> int:
    """Return the last start of a line of a stream; -1 if there is none."""
    return max(flags.rfind(stream, 0, end), flags.rfind(stream | TIMELESS, 0, end))
