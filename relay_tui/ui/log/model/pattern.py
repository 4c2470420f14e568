"""Search patterns with a time limit."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay_tui.text.ansi import plain_text

if TYPE_CHECKING:
    import regex


_CHUNK = 512  # lines between looks at the clock


_FEW = 32  # where some of them are long


_LATE = 0.02  # seconds that a pattern has for a line


_LATER = 1e-7  # and more for each of its characters


_MOST_LATE = 3  # lines on which it may take longer


_SHORT = 1_000  # characters of a line on which a pattern with one repetition at most has no time to be slow


class TimeBudget:
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

    Where a line stands behind the name of its log, it begins with that as well as behind it: both are tried.
    """

    text: str
    regex: regex.Pattern[str]
    inverse: bool = False
    patience: TimeBudget = field(default_factory=TimeBudget, compare=False)

    @property
    def given_up(self) -> bool:
        """Whether it was too slow."""
        return self.patience.over

    def accepts(self, raw: str, name: str = "") -> bool:
        """Whether a line as it came is one of those; a line on which it took too long is not."""
        return self.accepts_text(plain_text(raw), name)

    def first(self, text: str, name: str = "") -> int:
        """Where in a text it is found first; 0 where it is not."""
        spans = self.spans(text, 1, name)
        return spans[0][0] if spans else 0

    def accepts_text(self, text: str, name: str = "") -> bool:
        """Whether a line is one of those, by its plain text; `name` is that of its log as it came."""
        if self.patience.over:
            return False
        try:
            seconds = self._seconds(text)
            found = any(self.regex.search(text[at:], timeout=seconds) for at in self._beginnings(name))
            return found is not self.inverse
        except TimeoutError:
            self.patience.late += 1
            return False

    def spans(self, text: str, most: int, name: str = "") -> list[tuple[int, int]]:
        """Where it is found, at `most` so many places; nowhere where it took too long."""
        found: list[tuple[int, int]] = []
        if self.patience.over:
            return found
        try:
            for begin in self._beginnings(name):
                for match in self.regex.finditer(text[begin:], timeout=self._seconds(text)):
                    if match.end() > match.start():
                        found.append((begin + match.start(), begin + match.end()))
                    if len(found) >= most:
                        break
                if found:
                    break
        except TimeoutError:
            self.patience.late += 1
            return []
        return found

    def _beginnings(self, name: str) -> tuple[int, ...]:
        """Where a line begins: for what asks for that, behind its log's name too."""
        anchored = name and ("^" in self.text or r"\A" in self.text)
        return (0, len(plain_text(name))) if anchored else (0,)

    def _seconds(self, text: str) -> float | None:
        """What it may take; to look at a clock at all costs more than most patterns on most lines."""
        if len(text) < _SHORT and sum(map(self.text.count, "*+{?")) < 2:
            return None
        return _LATE + _LATER * len(text)


def compile_pattern(text: str, *, invertible: bool = False) -> Pattern | None:
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
