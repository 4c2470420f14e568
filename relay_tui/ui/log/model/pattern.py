"""Search patterns with a time limit."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay_tui.text.ansi import plain_text

if TYPE_CHECKING:
    import regex


_CHUNK = 512  # lines between two readings of the clock


_FEW = 32  # the same, if some lines are long


_LATE = 0.02  # seconds allowed for a line


_LATER = 1e-7  # additional seconds for each character of the line


_MOST_LATE = 3  # lines on which a pattern may exceed the time limit


_SHORT = 1_000  # characters: on shorter lines, a pattern with at most one repetition cannot be slow


class TimeBudget:
    """Time that a pattern has used."""

    __slots__ = ("late",)

    def __init__(self) -> None:
        self.late = 0  # lines on which the time limit was exceeded

    @property
    def over(self) -> bool:
        """Whether matching has stopped."""
        return self.late >= _MOST_LATE


@dataclass(frozen=True, slots=True)
class Pattern:
    """Pattern for lines, inverted with `inverse`. Case matters only if the pattern has a capital letter.

    Some patterns take practically forever on lines that a container can choose. So a pattern has a time limit for each
    line. A pattern that exceeded it on several lines is stopped and matches nothing more.

    In a merged log, a line begins both at its log's name and after it. Both are tried.
    """

    text: str
    regex: regex.Pattern[str]
    inverse: bool = False
    patience: TimeBudget = field(default_factory=TimeBudget, compare=False)

    @property
    def given_up(self) -> bool:
        """Whether the pattern was too slow."""
        return self.patience.over

    def accepts(self, raw: str, name: str = "") -> bool:
        """Return whether a raw line matches. A line that exceeded the time limit does not match."""
        return self.accepts_text(plain_text(raw), name)

    def first(self, text: str, name: str = "") -> int:
        """Return the position of the first match in a text; 0 if there is none."""
        spans = self.spans(text, 1, name)
        return spans[0][0] if spans else 0

    def accepts_text(self, text: str, name: str = "") -> bool:
        """Return whether a line's plain text matches. `name` is the raw name of its log."""
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
        """Return at most `most` spans of matches; none if the time limit was exceeded."""
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
        """Return the positions at which a line begins: also after its log's name, for anchored patterns."""
        anchored = name and ("^" in self.text or r"\A" in self.text)
        return (0, len(plain_text(name))) if anchored else (0,)

    def _seconds(self, text: str) -> float | None:
        """Return the time limit. Reading the clock costs more than most patterns on most lines."""
        if len(text) < _SHORT and sum(map(self.text.count, "*+{?")) < 2:
            return None
        return _LATE + _LATER * len(text)


def compile_pattern(text: str, *, invertible: bool = False) -> Pattern | None:
    """Return the typed pattern, or None for an empty one. Raises ValueError with a message for the user."""
    import regex  # imported only once a pattern is typed

    inverse = invertible and text.startswith("!")
    wanted = text[1:] if inverse else text
    if not wanted:
        return None
    exact = any(character.isupper() for character in re.sub(r"\\.", "", wanted))
    try:
        re.compile(wanted)  # its messages describe the error better
        return Pattern(text, regex.compile(wanted, 0 if exact else regex.IGNORECASE), inverse)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        reason = getattr(error, "msg", "") or "too complex"
        position = getattr(error, "pos", None)
        where = "" if position is None else f" at {position + 1 + inverse}"
        raise ValueError(f"invalid pattern: {reason}{where}") from error
