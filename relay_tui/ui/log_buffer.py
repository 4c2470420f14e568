"""The last lines of a log, bounded in number and memory. Knows no terminal and no widget."""

from __future__ import annotations

import codecs
import sys
from typing import NamedTuple

from relay_tui.text import LOG_LINE_CELLS, clean_block

STDOUT = "stdout"
STDERR = "stderr"
NOTICE = "notice"

_STREAMS = (STDOUT, STDERR, NOTICE)
_STREAM_BITS = 3
_CONTINUED = 4
_POINTER = 8


class LogLine(NamedTuple):
    """One line as it came, escape sequences included. `continued`: it carries on a line that was too long."""

    raw: str
    stream: str
    continued: bool = False


class LogBuffer:
    """Takes the bytes of a log's streams and keeps the newest lines. For one thread.

    Lines have absolute numbers that never change: `first` is the oldest one kept, `end` the one to come. So a
    reader keeps its place while old lines are trimmed, which happens some at a time. A last line without its
    newline is there already and is completed where it stands.
    """

    def __init__(
        self, max_lines: int = 100_000, max_bytes: int = 64 * 2**20, max_line_length: int = LOG_LINE_CELLS
    ) -> None:
        self.max_lines = max(max_lines, 1)
        self.max_bytes = max_bytes
        self.max_line_length = max(max_line_length, 1)
        self._raw: list[str] = []
        self._flags = bytearray()
        self._size = 0
        self._first = 0
        self._dropped = 0
        self._unfinished: dict[int, int] = {}
        self._decoders = {code: _decoder() for code in range(len(_STREAMS))}

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def first(self) -> int:
        """The absolute number of the oldest line kept."""
        return self._first

    @property
    def end(self) -> int:
        """The absolute number that the next line will get."""
        return self._first + len(self._raw)

    @property
    def dropped(self) -> int:
        """How many lines were trimmed since the last `clear`."""
        return self._dropped

    @property
    def settled(self) -> int:
        """Every line before this number is complete and will not change any more."""
        return max(min(self._unfinished.values(), default=self.end), self._first)

    @property
    def size(self) -> int:
        """The memory the kept lines take, in bytes."""
        return self._size

    def line(self, number: int) -> LogLine:
        """The line of an absolute number; IndexError if it is not there, or no longer."""
        if not self._first <= number < self.end:
            raise IndexError(number)
        flags = self._flags[number - self._first]
        return LogLine(self._raw[number - self._first], _STREAMS[flags & _STREAM_BITS], bool(flags & _CONTINUED))

    def feed(self, data: bytes, stream: str = STDOUT) -> None:
        """Take what a stream sent, cut anywhere: inside a line, an escape sequence or a character."""
        code = _STREAMS.index(stream)
        text = self._decoders[code].decode(data)
        if text:
            self._take(text, code)
            self._trim()

    def append_notice(self, text: str) -> None:
        """Add lines of relay's own. Whatever was unfinished stays as it is: nothing will complete it."""
        for code, decoder in self._decoders.items():
            rest = decoder.decode(b"", final=True)
            if rest:
                self._take(rest, code)
        self._unfinished.clear()
        self._extend(clean_block(text).split("\n"), _STREAMS.index(NOTICE))
        self._trim()

    def clear(self) -> None:
        """Forget every line. Numbers go on, so that an old one never names a new line."""
        self._first = self.end
        self._raw.clear()
        self._flags.clear()
        self._unfinished.clear()
        self._size = self._dropped = 0
        self._decoders = {code: _decoder() for code in range(len(_STREAMS))}

    def _take(self, text: str, code: int) -> None:
        if "\r\n" in text:
            text = text.replace("\r\n", "\n")
        pieces = text.split("\n")
        number = self._unfinished.pop(code, None)
        ends_open = bool(pieces[-1])
        if number is not None and number >= self._first:
            overflow = self._complete(number, pieces.pop(0))
            if not pieces and not overflow:
                self._unfinished[code] = number
                return
            self._extend(overflow, code, continued=True)
        if pieces and not pieces[-1]:
            pieces.pop()
        self._extend(pieces, code)
        if ends_open:
            self._unfinished[code] = self.end - 1

    def _complete(self, number: int, text: str) -> list[str]:
        """Add to an unfinished line; what no longer fits into it comes back in lines."""
        index = number - self._first
        whole = self._raw[index] + text
        if whole.count("\r") > 2:
            whole = _last_drawn(whole)
        fits, *overflow = self._wrapped(whole)
        self._size += sys.getsizeof(fits) - sys.getsizeof(self._raw[index])
        self._raw[index] = fits
        return overflow

    def _extend(self, lines: list[str], code: int, *, continued: bool = False) -> None:
        """Append whole lines; over-long ones become several."""
        first = code | _CONTINUED if continued else code
        flags = bytearray([first]) * len(lines)
        if lines and max(map(len, lines)) > self.max_line_length:
            wrapped: list[str] = []
            flags.clear()
            for line in lines:
                parts = self._wrapped(_last_drawn(line) if len(line) > self.max_line_length else line)
                wrapped += parts
                flags.append(first)
                flags += bytearray([code | _CONTINUED]) * (len(parts) - 1)
            lines = wrapped
        self._raw += lines
        self._flags += flags
        self._size += sum(map(sys.getsizeof, lines)) + _POINTER * len(lines)

    def _wrapped(self, line: str) -> list[str]:
        room = self.max_line_length
        return [line[at : at + room] for at in range(0, len(line), room)] or [line]

    def _trim(self) -> None:
        """Drop the oldest lines when there are too many, and some more, so that it happens seldom."""
        if len(self._raw) <= self.max_lines and self._size <= self.max_bytes:
            return
        enough_lines = max(self.max_lines - self.max_lines // 50, 1)
        enough_bytes = self.max_bytes - self.max_bytes // 50
        count = 0
        for raw in self._raw[:-1]:
            if len(self._raw) - count <= enough_lines and self._size <= enough_bytes:
                break
            self._size -= sys.getsizeof(raw) + _POINTER
            count += 1
        del self._raw[:count], self._flags[:count]
        self._first += count
        self._dropped += count


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


def _last_drawn(line: str) -> str:
    """A progress line without its overwritten beginnings: the last two of the texts between carriage returns."""
    return "\r".join(line.rsplit("\r", 2)[-2:])
