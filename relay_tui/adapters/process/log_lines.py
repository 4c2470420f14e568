"""Log lines of a process, with a time before each line in the engine's format."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

from relay_tui.adapters.process.supervisor.journal import STDERR, Entry
from relay_tui.adapters.runtime_common.log_lines import PART, FramedLines
from relay_tui.domain import log_batch
from relay_tui.domain.log_batch import LogBatch

_HEADER = struct.Struct(">BxxxI").pack


class Timestamper:
    """Format times as engines do. The second is cached, because most lines of a busy log share it."""

    def __init__(self) -> None:
        self._second = -1
        self._words = b""

    def __call__(self, moment: int) -> bytes:
        """Return a time in ns since 1970 as RFC 3339 with nine digits."""
        second, rest = divmod(moment, 10**9)
        if second != self._second:
            self._second = second
            self._words = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        return b"%b.%09dZ" % (self._words, rest)


class ProcessLineReader:
    """Convert journal entries to lines. A line's time is the time of its end, as with an engine, so logs are in order.

    A line in pieces has the time at which its first piece was full. The lines of one entry are a nanosecond apart, so
    that all times in a log differ.
    """

    def __init__(self, *, tty: bool, since: int = 0, until: int = 0) -> None:
        self._end = b"\r" if tty else b""
        self._since = since
        self._until = until or 1 << 63
        self._stamp = Timestamper()
        self._open: dict[int, tuple[int, bytes]] = {}  # by stream: when its unfinished line last grew, and its text
        self._parted: dict[int, int] = {}  # by stream, the time that the parts of its unfinished line share
        self._frames = FramedLines()

    def feed(self, entries: Iterator[Entry]) -> LogBatch:
        """Return the lines that the entries complete."""
        said = bytearray()
        for entry in entries:
            if entry.begins and entry.stream in self._open:
                self._close(said, entry.stream)  # what a run before this one left without an end
            *whole, rest = entry.data.split(b"\n")
            for index, piece in enumerate(whole):
                _, begun = self._open.pop(entry.stream, (0, b""))
                self._put(said, entry.stream, entry.time + index, (begun + piece).removesuffix(self._end) + b"\n")
                self._parted.pop(entry.stream, None)
            if rest:
                self._begin(said, entry.stream, entry.time + len(whole), rest)
        return self._frames.feed(bytes(said))

    def _begin(self, said: bytearray, stream: int, moment: int, more: bytes) -> None:
        """Extend the stream's partial line."""
        text = self._open.pop(stream, (0, b""))[1] + more
        while len(text) > PART:
            self._parted.setdefault(stream, moment)
            self._put(said, stream, moment, text[:PART])
            text = text[PART:]
        self._open[stream] = (moment, text)

    def _put(self, said: bytearray, stream: int, moment: int, text: bytes) -> None:
        moment = self._parted.get(stream, moment)
        if self._since <= moment <= self._until:
            line = self._stamp(moment) + b" " + text
            said += _HEADER(2 if stream == STDERR else 1, len(line)) + line

    def _close(self, said: bytearray, stream: int) -> None:
        """End the stream's partial line."""
        moment, text = self._open.pop(stream)
        self._put(said, stream, moment, text + b"\n")
        self._parted.pop(stream, None)

    def partial_lines(self) -> LogBatch:
        """Return the partial lines."""
        lines, flags = [], bytearray()
        for stream, (moment, text) in self._open.items():
            if self._since <= self._parted.get(stream, moment) <= self._until:
                whose = log_batch.STDERR if stream == STDERR else log_batch.STDOUT
                carries_on = self._frames.has_partial_line(whose)
                lines.append(text if carries_on else self._stamp(moment) + b" " + text)
                flags.append(whose | log_batch.CONTINUED | log_batch.TIMELESS if carries_on else whose)
        return log_batch.pack_times(lines, bytes(flags))

    def finish(self) -> LogBatch:
        """Return the incomplete rest at the end of the log."""
        said = bytearray()
        for stream in tuple(self._open):
            self._close(said, stream)
        return self._frames.feed(bytes(said))
