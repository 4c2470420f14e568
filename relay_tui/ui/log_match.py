"""Which lines of a log are shown or sought: by a pattern, a slice of time at once, so that the screen goes on."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import Protocol

from relay_tui.text import log_plain
from relay_tui.ui.log_buffer import LogBuffer

_CHUNK = 512  # lines between looks at the clock


class Lines(Protocol):
    """The lines that are shown, by their place among them and by their absolute number."""

    def __len__(self) -> int: ...

    def at(self, index: int) -> int:
        """The number of the line at a place."""
        ...

    def index(self, number: int) -> int:
        """The place of the first line whose number is not less."""
        ...


class AllLines:
    """Every line of a buffer."""

    def __init__(self, buffer: LogBuffer) -> None:
        self._buffer = buffer

    def __len__(self) -> int:
        return len(self._buffer)

    def at(self, index: int) -> int:
        """The number of the line at a place."""
        return self._buffer.first + index

    def index(self, number: int) -> int:
        """The place of the first line whose number is not less."""
        return min(max(0, number - self._buffer.first), len(self._buffer))


@dataclass(frozen=True, slots=True)
class Pattern:
    """What lines must contain, or with `inverse` must not. Case matters only if the pattern has a capital letter."""

    text: str
    regex: re.Pattern[str]
    inverse: bool = False

    def accepts(self, raw: str) -> bool:
        """Whether a line as it came is one of those."""
        return (self.regex.search(log_plain(raw)) is None) is self.inverse


def pattern(text: str, *, invertible: bool = False) -> Pattern | None:
    """The pattern somebody typed, None for nothing. Raises ValueError with words for whoever typed it."""
    inverse = invertible and text.startswith("!")
    wanted = text[1:] if inverse else text
    if not wanted:
        return None
    flags = 0 if any(character.isupper() for character in re.sub(r"\\.", "", wanted)) else re.IGNORECASE
    try:
        return Pattern(text, re.compile(wanted, flags), inverse)
    except (re.error, OverflowError, RecursionError) as error:
        words = getattr(error, "msg", "") or "too much for a pattern"
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at {place + 1 + inverse}"
        raise ValueError(f"not a pattern: {words}{where}") from error


class Matches:
    """The lines of a buffer that all patterns accept, found from the end backwards; what comes is looked at too."""

    def __init__(self, buffer: LogBuffer, *patterns: Pattern) -> None:
        self._buffer = buffer
        self._patterns = patterns
        self._numbers = array("q")
        self._from = self._to = buffer.end

    def __len__(self) -> int:
        return len(self._numbers)

    def at(self, index: int) -> int:
        """The number of the line at a place."""
        return self._numbers[index]

    def index(self, number: int) -> int:
        """The place of the first line whose number is not less."""
        return bisect_left(self._numbers, number)

    def place(self, number: int) -> int:
        """Which match a line is, from 1; 0: none."""
        at = self.index(number)
        return at + 1 if at < len(self) and self.at(at) == number else 0

    @property
    def complete(self) -> bool:
        """Whether every line there is has been looked at."""
        return self._to == self._buffer.end and self._from <= self._buffer.first

    def advance(self, seconds: float) -> bool:
        """Look at lines for so long; answer whether all have been."""
        deadline = time.perf_counter() + seconds
        self._forget()
        while self._to < self._buffer.end:
            stop = min(self._to + _CHUNK, self._buffer.end)
            self._numbers.extend(self._found(self._to, stop))
            self._to = stop
            if time.perf_counter() > deadline:
                return self.complete
        earlier: list[array[int]] = []
        while self._from > self._buffer.first:
            start = max(self._from - _CHUNK, self._buffer.first)
            earlier.append(array("q", self._found(start, self._from)))
            self._from = start
            if time.perf_counter() > deadline:
                break
        if any(earlier):
            whole = array("q")
            for part in reversed(earlier):
                whole.extend(part)
            self._numbers = whole + self._numbers
        return self.complete

    def _found(self, start: int, stop: int) -> list[int]:
        patterns = self._patterns
        return [
            number
            for number, line in self._buffer.lines(start, stop)
            if all(pattern.accepts(line.raw) for pattern in patterns)
        ]

    def _forget(self) -> None:
        """Drop what the buffer dropped."""
        first = self._buffer.first
        del self._numbers[: bisect_left(self._numbers, first)]
        self._to = max(self._to, first)
        self._from = min(max(self._from, first), self._to)
