"""Batch of log lines."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

STDOUT, STDERR, NOTICE = 0, 1, 2
"""Stream of a line; NOTICE marks a line that relay adds."""


STREAM_BITS = 3


CONTINUED = 4
"""The line continues the previous line of the same stream, which was too long for one piece."""


TIMELESS = 8
"""The line has no time stamp."""


_LONGEST_TIME = 40


class LogBatch(NamedTuple):
    """Log lines in the order of arrival. Line `i` is `data[starts[i]:ends[i]]`, without its newline.

    `data` keeps the engine's bytes, with the frame headers between the lines. Only lines that are read are parsed.
    """

    data: bytes
    starts: Sequence[int]
    ends: Sequence[int]
    flags: bytes
    logs: Sequence[int] = ()
    """Index of each line's log, in a batch of several logs."""
    names: Sequence[int] = ()
    """Length in bytes of the log's name at the start of each line, in a batch of several logs."""

    def __len__(self) -> int:
        return len(self.flags)

    def parts(self, index: int) -> tuple[bytes, bytes]:
        """Return a line's time stamp from the engine (b"" if there is none) and its text."""
        start, end = self.starts[index], self.ends[index]
        if not self.flags[index] & TIMELESS:
            space = self.data.find(b" ", start, start + _LONGEST_TIME)
            if start < space <= end:
                return self.data[start:space], self.data[space + 1 : end]
            if space < 0 and end - start < _LONGEST_TIME:
                return self.data[start:end], b""
        return b"", self.data[start:end]

    def key(self, index: int) -> bytes:
        """Return a line's time and stream. The pieces of one long line have the same key."""
        return self.parts(index)[0] + b"%d" % (self.flags[index] & STREAM_BITS)

    def only(self, indexes: Sequence[int]) -> LogBatch:
        """Return a batch of the given lines."""
        pieces = [self.data[self.starts[i] : self.ends[i]] for i in indexes]
        flags = bytes(self.flags[i] for i in indexes)
        if not self.logs:
            return pack_times(pieces, flags)
        return pack_times(pieces, flags, array("I", (self.logs[i] for i in indexes)), [self.names[i] for i in indexes])


def pack_times(lines: Sequence[bytes], flags: bytes, logs: Sequence[int] = (), names: Sequence[int] = ()) -> LogBatch:
    """Return a batch of separate lines."""
    starts, ends, at = array("I"), array("I"), 0
    for line in lines:
        starts.append(at)
        at += len(line)
        ends.append(at)
    return LogBatch(b"".join(lines), starts, ends, flags, logs, names)


EMPTY_BATCH = LogBatch(b"", (), (), b"")
