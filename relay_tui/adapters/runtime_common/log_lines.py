"""Finds the lines in what the engine sends of a log, each with its time before it, without copying them.

A container without a terminal has its streams multiplexed: a stream number, three zeros, a length, the bytes. A line of
more than 16 KiB comes in parts, the same time before each; so does one of a terminal, which has no marks but that.
"""

from __future__ import annotations

import re
import time
from array import array
from datetime import UTC, datetime
from struct import Struct

from relay_tui.domain.errors import InvalidInputError
from relay_tui.domain.log_batch import CONTINUED, EMPTY_BATCH, STDERR, STDOUT, TIMELESS, LogBatch, pack_times

PART = 16 * 1024  # the engine's own; longer lines of other engines are cut there too


_TIME_LENGTH = 40  # the longest time with its space


_SEAM = 32  # the most that is taken over from one part to the next


_HUGE = 1 << 20


_RETURN = 13  # a terminal ends its lines with it too


_STREAMS = (STDOUT, STDOUT, STDERR, STDERR)


_LENGTH = Struct(">I").unpack_from


class _BatchBuilder:
    """The lines found in one piece of data. What does not lie there in one is put behind it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.starts = array("I")
        self.ends = array("I")
        self.flags = bytearray()
        self._behind = bytearray()

    def add(self, line: bytes, flags: int) -> None:
        """A line put together from several places."""
        start = len(self.data) + len(self._behind)
        self._behind += line
        self.starts.append(start)
        self.ends.append(start + len(line))
        self.flags.append(flags)

    def batch(self) -> LogBatch:
        """All of it."""
        if len(self._behind) > len(self.data) // 8:  # what was put together would weigh twice
            whole = self.data + self._behind
            lines = [whole[start:end] for start, end in zip(self.starts, self.ends, strict=True)]
            return pack_times(lines, bytes(self.flags))
        data = self.data + self._behind if self._behind else self.data
        return LogBatch(data, self.starts, self.ends, bytes(self.flags))


class ChunkBuilder:
    """Lines of one stream that come in parts: each part becomes a line that carries on the one before."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._open = False
        self._time = b""
        self._kept = b""

    @property
    def open(self) -> bool:
        """Whether a line is unfinished."""
        return self._open

    def take(self, found: _BatchBuilder, time: bytes, text: bytes) -> None:
        """A message: `time` with its space, or b"" if it only goes on; `text` may hold any number of lines."""
        carries_on = self._open and time in (b"", self._time)
        if self._open and not carries_on:
            self.finish(found)
        flags = self._stream | (CONTINUED if carries_on else 0)
        began, text, self._kept = time, self._kept + text, b""
        *whole, rest = text.split(b"\n")
        for line in whole:
            self._put(found, time, line, flags)
            time, flags = b"", self._stream
        self._open = bool(rest) or (not whole and carries_on)
        if rest:
            self._time = began or self._time
            keep = unfinished(rest)
            self._kept = rest[len(rest) - keep :] if keep else b""
            self._put(found, time, rest[: len(rest) - keep], flags)

    def _put(self, found: _BatchBuilder, time: bytes, line: bytes, flags: int) -> None:
        if flags & CONTINUED and not line:
            return
        step = PART if len(line) > PART + _SEAM else PART + _SEAM
        for at in range(0, len(line) or 1, step):
            found.add(time + line[at : at + step], flags | (0 if time else TIMELESS))
            time, flags = b"", flags | CONTINUED

    def finish(self, found: _BatchBuilder) -> None:
        """Nothing will complete what is unfinished."""
        if self._kept:
            found.add(self._kept, self._stream | CONTINUED | TIMELESS)
        self._open, self._time, self._kept = False, b"", b""


def unfinished(text: bytes) -> int:
    """Return the number of bytes at the end that begin a character or a short escape sequence."""
    escape = text.rfind(b"\x1b", -_SEAM)
    if escape >= 0 and all(byte in b"\x1b[0123456789;:" for byte in text[escape:]):
        return len(text) - escape
    for back in range(1, min(4, len(text) + 1)):
        byte = text[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0


class FramedLines:
    """Lines of a multiplexed log."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0  # of a message too long to be waited for
        self._parts = (ChunkBuilder(STDOUT), ChunkBuilder(STDERR))
        self._present = self._parts[0]

    def feed(self, data: bytes) -> LogBatch:
        """The lines the bytes complete; the rest waits for more."""
        data = self._rest + data if self._rest else data
        found = _BatchBuilder(data)
        at, end = self._go_on(found), len(data)
        starts, ends, flags, find, parts = found.starts, found.ends, found.flags, data.find, self._parts
        while end - at >= 8:
            start = at + 8
            stop = start + _LENGTH(data, at + 4)[0]
            if stop > end:
                if stop - at > _HUGE and end - start > _TIME_LENGTH:
                    self._begin_huge(found, at, stop)
                    at = end
                break
            stream = _STREAMS[data[at] & 3]
            newline = find(b"\n", start, stop)
            if newline == stop - 1 and newline - start < PART and not parts[stream].open:
                starts.append(start)
                ends.append(newline)
                flags.append(stream)
            else:
                space = find(b" ", start, start + _TIME_LENGTH) + 1
                parts[stream].take(found, data[start:space], data[max(space, start) : stop])
            at = stop
        self._rest = data[at:]
        return found.batch()

    def begun(self) -> LogBatch:
        """Return nothing: text without a newline is passed on at once, as a line that the next one continues."""
        return EMPTY_BATCH

    def carries_on(self, stream: int) -> bool:
        """Return whether the next data of the stream continues a partial line."""
        return self._parts[stream].open

    def _begin_huge(self, found: _BatchBuilder, at: int, stop: int) -> None:
        self._present = self._parts[_STREAMS[found.data[at] & 3]]
        self._left = stop - len(found.data)
        space = found.data.find(b" ", at + 8, at + 8 + _TIME_LENGTH) + 1
        self._present.take(found, found.data[at + 8 : space], found.data[max(space, at + 8) :])

    def _go_on(self, found: _BatchBuilder) -> int:
        """Take what belongs to a huge message; answer where the next begins."""
        taken = min(self._left, len(found.data))
        if taken:
            self._left -= taken
            self._present.take(found, b"", found.data[:taken])
        return taken

    def finish(self) -> LogBatch:
        """Return the incomplete rest at the end of the stream."""
        found = _BatchBuilder(b"")
        for parts in self._parts:
            parts.finish(found)
        self._rest, self._left = b"", 0
        return found.batch()


class TerminalLines:
    """Lines of a terminal's log, which is one stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts = ChunkBuilder(STDOUT)
        self._time = b""  # of the line that is coming in parts

    def feed(self, data: bytes) -> LogBatch:
        """The lines the bytes complete; the rest waits for more."""
        data = self._rest + data if self._rest else data
        found = _BatchBuilder(data)
        at, end, find = 0, len(data), data.find
        while at < end:
            if self._time:
                if end - at < len(self._time) and find(b"\n", at) < 0:
                    break
                text = at + len(self._time) if data.startswith(self._time, at) else at
            else:
                text = find(b" ", at, at + _TIME_LENGTH) + 1 or at
            newline = find(b"\n", text, text + PART)
            if newline >= 0 and not self._time:
                found.starts.append(at)
                found.ends.append(newline - (data[newline - 1] == _RETURN))
                found.flags.append(STDOUT)
                at = newline + 1
            elif newline >= 0 or end - text >= PART:
                stop = newline + 1 or text + PART
                self._time = b"" if newline >= 0 else self._time or data[at:text]
                self._parts.take(found, data[at:text], data[text:stop])
                at = stop
            else:
                break
        self._rest = data[at:]
        return found.batch()

    def begun(self) -> LogBatch:
        """The line whose end has not come, from engines that tell of it: Docker keeps it back."""
        rest = self._rest
        if not rest:
            return EMPTY_BATCH
        if not self._time:
            return pack_times([rest], bytes([STDOUT])) if b" " in rest[:_TIME_LENGTH] else EMPTY_BATCH
        return pack_times([rest.removeprefix(self._time)], bytes([STDOUT | CONTINUED | TIMELESS]))

    def finish(self) -> LogBatch:
        """Return the incomplete rest at the end of the stream."""
        rest, self._rest = self._rest, b""
        found = _BatchBuilder(b"")
        if rest:
            text = (
                len(self._time) if self._time and rest.startswith(self._time) else rest.find(b" ", 0, _TIME_LENGTH) + 1
            )
            self._parts.take(found, rest[:text], rest[text:])
        self._parts.finish(found)
        self._time = b""
        return found.batch()


_TIME_PATTERN = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?")


def _stamp(moment: int) -> str:
    """RFC 3339 of nanoseconds since 1970."""
    second = datetime.fromtimestamp(moment // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{moment % 10**9:09}Z"


def engine_time(text: str) -> str:
    """An RFC 3339 time (UTC if it names no zone) as the engine takes it: seconds and nanoseconds since 1970."""
    match = _TIME_PATTERN.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        seconds, fraction, zone = match.groups()
        moment = datetime.fromisoformat(f"{seconds.replace('t', 'T')}{(zone or 'Z').upper()}")
    except ValueError as error:
        raise InvalidInputError(
            "since", f"{text!r} is not a time", "", "Write it like 2026-11-23T08:39:00Z."
        ) from error
    return f"{int(moment.timestamp())}.{(fraction or '').ljust(9, '0')}"


def just_before(text: str) -> str:
    """A tenth of a second before the engine says that a container started: by then it may have written lines."""
    seconds, fraction = engine_time(text).split(".")
    return _stamp(int(seconds) * 10**9 + int(fraction) - 10**8)


def a_moment_ago() -> str:
    """Return a time just before now, in the engine's format, so that no event is missed while connecting."""
    return str(int(time.time()) - 1)
