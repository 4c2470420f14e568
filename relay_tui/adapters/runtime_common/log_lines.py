"""Line splitter for the engine's logs. Each line starts with its time; the bytes of a line are not copied.

A container without a terminal has multiplexed streams: a stream number, three zeros, a length, the bytes. The engine
sends a line of more than 16 KiB in parts, each with the same time. A terminal's log has no headers: only that time
marks the parts of a line.
"""

from __future__ import annotations

import re
import time
from array import array
from datetime import UTC, datetime
from struct import Struct

from relay_tui.domain.errors import InvalidInputError
from relay_tui.domain.log_batch import CONTINUED, EMPTY_BATCH, STDERR, STDOUT, TIMELESS, LogBatch, pack_times

PART = 16 * 1024  # Docker's size of a part; longer lines of other engines are cut at this size too
_TIME_LENGTH = 40  # longest time, with its space
_CARRY_LIMIT = 32  # most bytes that are moved from the end of one part to the next part
_HUGE = 1 << 20  # bytes; a longer message is processed before it is complete
_CARRIAGE_RETURN = 13  # a terminal ends its lines with it and a newline
_STREAMS = (STDOUT, STDOUT, STDERR, STDERR)
_LENGTH = Struct(">I").unpack_from


class _BatchBuilder:
    """Builder for the lines of one block of data. Lines that are not contiguous in it are appended after the data."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.starts = array("I")
        self.ends = array("I")
        self.flags = bytearray()
        self._appended = bytearray()

    def add(self, line: bytes, flags: int) -> None:
        """Add a line that was assembled from several parts."""
        start = len(self.data) + len(self._appended)
        self._appended += line
        self.starts.append(start)
        self.ends.append(start + len(line))
        self.flags.append(flags)

    def build(self) -> LogBatch:
        """Return the lines as a batch."""
        if len(self._appended) > len(self.data) // 8:  # the batch would hold the assembled lines twice
            data = self.data + self._appended
            lines = [data[start:end] for start, end in zip(self.starts, self.ends, strict=True)]
            return pack_times(lines, bytes(self.flags))
        data = self.data + self._appended if self._appended else self.data
        return LogBatch(data, self.starts, self.ends, bytes(self.flags))


class ChunkBuilder:
    """Builder for lines of one stream that arrive in parts. A part becomes a continuation of the previous one."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._is_open = False
        self._time = b""
        self._carried = b""

    @property
    def is_open(self) -> bool:
        """Whether the last line is incomplete."""
        return self._is_open

    def feed(self, batch: _BatchBuilder, time: bytes, text: bytes) -> None:
        """Add the lines of a message to the batch.

        `time` includes its space, and is b"" for the rest of a message. `text` can have any number of lines.
        """
        continues = self._is_open and time in (b"", self._time)
        if self._is_open and not continues:
            self.finish(batch)
        flags = self._stream | (CONTINUED if continues else 0)
        first_time, text, self._carried = time, self._carried + text, b""
        *lines, rest = text.split(b"\n")
        for line in lines:
            self._add(batch, time, line, flags)
            time, flags = b"", self._stream
        self._is_open = bool(rest) or (not lines and continues)
        if rest:
            self._time = first_time or self._time
            carry = incomplete_suffix(rest)
            self._carried = rest[len(rest) - carry :] if carry else b""
            self._add(batch, time, rest[: len(rest) - carry], flags)

    def _add(self, batch: _BatchBuilder, time: bytes, line: bytes, flags: int) -> None:
        if flags & CONTINUED and not line:
            return
        step = PART if len(line) > PART + _CARRY_LIMIT else PART + _CARRY_LIMIT
        for at in range(0, len(line) or 1, step):
            batch.add(time + line[at : at + step], flags | (0 if time else TIMELESS))
            time, flags = b"", flags | CONTINUED

    def finish(self, batch: _BatchBuilder) -> None:
        """End the incomplete line at the end of the stream."""
        if self._carried:
            batch.add(self._carried, self._stream | CONTINUED | TIMELESS)
        self._is_open, self._time, self._carried = False, b"", b""


def incomplete_suffix(text: bytes) -> int:
    """Return the number of bytes at the end that are the start of a character or of a short escape sequence."""
    escape = text.rfind(b"\x1b", -_CARRY_LIMIT)
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
    """Line splitter for a multiplexed log."""

    def __init__(self) -> None:
        self._rest = b""
        self._remaining = 0  # bytes that follow of a huge message
        self._builders = (ChunkBuilder(STDOUT), ChunkBuilder(STDERR))
        self._current = self._builders[0]

    def feed(self, data: bytes) -> LogBatch:
        """Return the lines that are complete now. The rest is kept for the next call."""
        data = self._rest + data if self._rest else data
        batch = _BatchBuilder(data)
        at, end = self._continue_huge(batch), len(data)
        starts, ends, flags, find, builders = batch.starts, batch.ends, batch.flags, data.find, self._builders
        while end - at >= 8:
            start = at + 8
            stop = start + _LENGTH(data, at + 4)[0]
            if stop > end:
                if stop - at > _HUGE and end - start > _TIME_LENGTH:
                    self._start_huge(batch, at, stop)
                    at = end
                break
            stream = _STREAMS[data[at] & 3]
            newline = find(b"\n", start, stop)
            if newline == stop - 1 and newline - start < PART and not builders[stream].is_open:
                starts.append(start)
                ends.append(newline)
                flags.append(stream)
            else:
                space = find(b" ", start, start + _TIME_LENGTH) + 1
                builders[stream].feed(batch, data[start:space], data[max(space, start) : stop])
            at = stop
        self._rest = data[at:]
        return batch.build()

    def partial_lines(self) -> LogBatch:
        """Return nothing: text without a newline is passed on at once, as a line that the next one continues."""
        return EMPTY_BATCH

    def has_partial_line(self, stream: int) -> bool:
        """Return whether the next data of the stream continues a partial line."""
        return self._builders[stream].is_open

    def _start_huge(self, batch: _BatchBuilder, at: int, stop: int) -> None:
        """Pass on the beginning of a huge message, which ends at `stop`."""
        self._current = self._builders[_STREAMS[batch.data[at] & 3]]
        self._remaining = stop - len(batch.data)
        space = batch.data.find(b" ", at + 8, at + 8 + _TIME_LENGTH) + 1
        self._current.feed(batch, batch.data[at + 8 : space], batch.data[max(space, at + 8) :])

    def _continue_huge(self, batch: _BatchBuilder) -> int:
        """Pass on the rest of a huge message; return the offset of the next message."""
        count = min(self._remaining, len(batch.data))
        if count:
            self._remaining -= count
            self._current.feed(batch, b"", batch.data[:count])
        return count

    def finish(self) -> LogBatch:
        """Return the incomplete rest at the end of the stream."""
        batch = _BatchBuilder(b"")
        for builder in self._builders:
            builder.finish(batch)
        self._rest, self._remaining = b"", 0
        return batch.build()


class TerminalLines:
    """Line splitter for a terminal's log, which is a single stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._builder = ChunkBuilder(STDOUT)
        self._time = b""  # time of the line that arrives in parts

    def feed(self, data: bytes) -> LogBatch:
        """Return the lines that are complete now. The rest is kept for the next call."""
        data = self._rest + data if self._rest else data
        batch = _BatchBuilder(data)
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
                batch.starts.append(at)
                batch.ends.append(newline - (data[newline - 1] == _CARRIAGE_RETURN))
                batch.flags.append(STDOUT)
                at = newline + 1
            elif newline >= 0 or end - text >= PART:
                stop = newline + 1 or text + PART
                self._time = b"" if newline >= 0 else self._time or data[at:text]
                self._builder.feed(batch, data[at:text], data[text:stop])
                at = stop
            else:
                break
        self._rest = data[at:]
        return batch.build()

    def partial_lines(self) -> LogBatch:
        """Return the partial line. Docker does not send partial lines; other engines do."""
        rest = self._rest
        if not rest:
            return EMPTY_BATCH
        if not self._time:
            return pack_times([rest], bytes([STDOUT])) if b" " in rest[:_TIME_LENGTH] else EMPTY_BATCH
        return pack_times([rest.removeprefix(self._time)], bytes([STDOUT | CONTINUED | TIMELESS]))

    def finish(self) -> LogBatch:
        """Return the incomplete rest at the end of the stream."""
        rest, self._rest = self._rest, b""
        batch = _BatchBuilder(b"")
        if rest:
            text = (
                len(self._time) if self._time and rest.startswith(self._time) else rest.find(b" ", 0, _TIME_LENGTH) + 1
            )
            self._builder.feed(batch, rest[:text], rest[text:])
        self._builder.finish(batch)
        self._time = b""
        return batch.build()


_TIME_PATTERN = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?")


def format_time(moment: int) -> str:
    """Return nanoseconds since 1970 as an RFC 3339 time."""
    second = datetime.fromtimestamp(moment // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{moment % 10**9:09}Z"


def engine_time(text: str) -> str:
    """Return an RFC 3339 time (UTC if it has no zone) in the engine's format: seconds.nanoseconds since 1970."""
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
    """Return the time 0.1 s earlier. A container can write lines before the start time that the engine reports."""
    seconds, fraction = engine_time(text).split(".")
    return format_time(int(seconds) * 10**9 + int(fraction) - 10**8)


def a_moment_ago() -> str:
    """Return a time just before now, in the engine's format, so that no event is missed while connecting."""
    return str(int(time.time()) - 1)
