"""Which lines of a log are shown or sought: by a pattern, a slice of time at once, so that the screen goes on."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from relay_tui.text import log_plain
from relay_tui.ui.log_buffer import LogBuffer

if TYPE_CHECKING:
    import regex

_CHUNK = 512  # lines between looks at the clock
_LATE = 0.02  # seconds that a pattern has for a line
_MOST_LATE = 3  # lines on which it may take longer
_SHORT = 1_000  # characters of a line on which a pattern with one repetition at most has no time to be slow


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


class Patience:
    """How long a pattern has kept everybody waiting."""

    __slots__ = ("late",)

    def __init__(self) -> None:
        self.late = 0  # lines on which it did not come to an end in time

    @property
    def over(self) -> bool:
        """Whether it is not tried any more."""
        return self.late >= _MOST_LATE


@dataclass(frozen=True, slots=True)
class Pattern:
    """What lines must contain, or with `inverse` must not. Case matters only if the pattern has a capital letter.

    There are patterns that take longer than the world stands, on lines that a container can choose. So a pattern has
    a moment for each line; one that needed more for several lines has been given up and matches nothing more.
    """

    text: str
    regex: regex.Pattern[str]
    inverse: bool = False
    patience: Patience = field(default_factory=Patience, compare=False)

    @property
    def given_up(self) -> bool:
        """Whether it was too slow."""
        return self.patience.over

    def accepts(self, raw: str) -> bool:
        """Whether a line as it came is one of those; a line on which it took too long is not."""
        if self.patience.over:
            return False
        text = log_plain(raw)
        try:
            return (self.regex.search(text, timeout=self._seconds(text)) is None) is self.inverse
        except TimeoutError:
            self.patience.late += 1
            return False

    def spans(self, text: str, most: int) -> list[tuple[int, int]]:
        """Where it is found, at `most` so many places; nowhere where it took too long."""
        found: list[tuple[int, int]] = []
        if self.patience.over:
            return found
        try:
            for match in self.regex.finditer(text, timeout=self._seconds(text)):
                if match.end() > match.start():
                    found.append(match.span())
                if len(found) >= most:
                    break
        except TimeoutError:
            self.patience.late += 1
            return []
        return found

    def _seconds(self, text: str) -> float | None:
        """What it may take; to look at a clock at all costs more than most patterns on most lines."""
        return None if len(text) < _SHORT and sum(map(self.text.count, "*+{?")) < 2 else _LATE


def pattern(text: str, *, invertible: bool = False) -> Pattern | None:
    """The pattern somebody typed, None for nothing. Raises ValueError with words for whoever typed it."""
    import regex  # only once somebody types one

    inverse = invertible and text.startswith("!")
    wanted = text[1:] if inverse else text
    if not wanted:
        return None
    exact = any(character.isupper() for character in re.sub(r"\\.", "", wanted))
    try:
        re.compile(wanted)  # has the better words for what is wrong
        return Pattern(text, regex.compile(wanted, 0 if exact else regex.IGNORECASE), inverse)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
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
        looked_at = self._to == self._buffer.end and self._from <= self._buffer.first
        return looked_at or any(pattern.given_up for pattern in self._patterns)

    def advance(self, seconds: float) -> bool:
        """Look at lines for so long; answer whether all have been."""
        deadline = time.perf_counter() + seconds
        self._forget()
        if self.complete:
            return True
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
