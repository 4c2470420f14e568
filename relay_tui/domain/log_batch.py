"""A container's log as lines."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

STDOUT, STDERR, NOTICE = 0, 1, 2
"""Whose line it is; a notice is relay's own."""


STREAM_BITS = 3


CONTINUED = 4
"""The line carries on the one before it of the same stream, which was too long to come whole."""


TIMELESS = 8
"""The line begins with no time."""


_LONGEST_TIME = 40


class LogBatch(NamedTuple):
    """Lines of a log, as they came and in that order. Line `i` is `data[starts[i]:ends[i]]`, without its newline.

    The bytes stay as the engine sent them, with what lies between the lines: taken apart is only what is looked at.
    """

    data: bytes
    starts: Sequence[int]
    ends: Sequence[int]
    flags: bytes
    logs: Sequence[int] = ()
    """Which log each line is of, where they are of several."""
    names: Sequence[int] = ()
    """How many bytes of each line's text name its log, where they are of several."""

    def __len__(self) -> int:
        return len(self.flags)

    def parts(self, index: int) -> tuple[bytes, bytes]:
        """When a line was written, as the engine says it (b"" if it does not), and its text."""
        start, end = self.starts[index], self.ends[index]
        if not self.flags[index] & TIMELESS:
            space = self.data.find(b" ", start, start + _LONGEST_TIME)
            if start < space <= end:
                return self.data[start:space], self.data[space + 1 : end]
            if space < 0 and end - start < _LONGEST_TIME:
                return self.data[start:end], b""
        return b"", self.data[start:end]

    def key(self, index: int) -> bytes:
        """What tells a line from its neighbours: its time and its stream. Those that are too long share it."""
        return self.parts(index)[0] + b"%d" % (self.flags[index] & STREAM_BITS)

    def only(self, indexes: Sequence[int]) -> LogBatch:
        """These lines of it alone."""
        pieces = [self.data[self.starts[i] : self.ends[i]] for i in indexes]
        flags = bytes(self.flags[i] for i in indexes)
        if not self.logs:
            return pack_times(pieces, flags)
        return pack_times(pieces, flags, array("I", (self.logs[i] for i in indexes)), [self.names[i] for i in indexes])


def pack_times(lines: Sequence[bytes], flags: bytes, logs: Sequence[int] = (), names: Sequence[int] = ()) -> LogBatch:
    """A batch of lines that lie apart."""
    starts, ends, at = array("I"), array("I"), 0
    for line in lines:
        starts.append(at)
        at += len(line)
        ends.append(at)
    return LogBatch(b"".join(lines), starts, ends, flags, logs, names)


EMPTY_BATCH = LogBatch(b"", (), (), b"")
