"""Which lines of a log are shown or sought: by a pattern, a slice of time at once, so that the screen goes on."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from relay_tui.log_line import log_plain
from relay_tui.ui.log_buffer import LogBuffer
from relay_tui.ui.log_whole_match import Judge, Verdict

if TYPE_CHECKING:
    import regex

_CHUNK = 512  # lines between looks at the clock
_FEW = 32  # where some of them are long
_LATE = 0.02  # seconds that a pattern has for a line
_LATER = 1e-7  # and more for each of its characters
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

    def since(self, number: int) -> int:
        """How many there are from a number on, and were but are gone: those of one number are counted on."""
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

    def since(self, number: int) -> int:
        """How many came from a number on."""
        return max(0, self._buffer.end - number)


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

    Where a line stands behind the name of its log, it begins with that as well as behind it: both are tried.
    """

    text: str
    regex: regex.Pattern[str]
    inverse: bool = False
    patience: Patience = field(default_factory=Patience, compare=False)

    @property
    def given_up(self) -> bool:
        """Whether it was too slow."""
        return self.patience.over

    def accepts(self, raw: str, name: str = "") -> bool:
        """Whether a line as it came is one of those; a line on which it took too long is not."""
        return self.accepts_text(log_plain(raw), name)

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
        return (0, len(log_plain(name))) if anchored else (0,)

    def _seconds(self, text: str) -> float | None:
        """What it may take; to look at a clock at all costs more than most patterns on most lines."""
        if len(text) < _SHORT and sum(map(self.text.count, "*+{?")) < 2:
            return None
        return _LATE + _LATER * len(text)


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
    """The lines of a buffer that all patterns accept, found from a line on to both sides; what comes is looked at too.

    `start` is the number of that line, the end if None: what is nearest to whoever waits is found first.

    A line that came in pieces is judged as a whole, again with each piece that comes. All its pieces are matches, or
    with `spots` the one where the last pattern is found.
    """

    def __init__(self, buffer: LogBuffer, *patterns: Pattern, spots: bool = False, start: int | None = None) -> None:
        self._buffer = buffer
        self._patterns = patterns
        self._judge = Judge(buffer, patterns, spots=spots)
        self._numbers = array("q")
        self._from = self._to = buffer.end if start is None else min(max(start, buffer.first), buffer.end)
        self._mark = self._gone = 0  # a number, and how many matches from there on the buffer dropped

    def __len__(self) -> int:
        return len(self._numbers)

    def at(self, index: int) -> int:
        """The number of the line at a place."""
        return self._numbers[index]

    def index(self, number: int) -> int:
        """The place of the first line whose number is not less."""
        return bisect_left(self._numbers, number)

    def since(self, number: int) -> int:
        """How many there are from a number on, and were but are gone: those of one number are counted on."""
        if number != self._mark:
            self._mark, self._gone = number, 0
        return self._gone + len(self) - self.index(number)

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
        self.forget()
        if self.complete:
            return True
        chunk = _FEW if self._buffer.in_pieces else _CHUNK
        earlier: list[array[int]] = []
        done = self._from
        while not self.complete:
            stop = min(self._to + chunk, self._buffer.end)
            self._numbers.extend(self._found(self._to, stop, done, self._to))
            self._to = stop
            start = max(self._from - chunk, self._buffer.first)
            earlier.append(array("q", self._found(start, self._from, done, self._to)))
            self._from = start
            if time.perf_counter() > deadline:
                break
        if any(earlier):
            whole = array("q")
            for part in reversed(earlier):
                whole.extend(part)
            self._numbers = whole + self._numbers
        return self.complete

    def _found(self, start: int, stop: int, low: int, high: int) -> list[int]:
        """The matches of a range; those from `low` to `high` are known already, and may have to be mended."""
        patterns, buffer = self._patterns, self._buffer
        if not buffer.in_pieces:
            return [n for n, line in buffer.lines(start, stop) if all(p.accepts(line.raw, line.name) for p in patterns)]
        found = []
        for number, line in buffer.lines(start, stop):
            whole = buffer.whole(number, line)
            if len(whole.pieces) == 1 and whole.head == number:
                wanted = all(pattern.accepts(line.raw, line.name) for pattern in patterns)
            else:
                verdict = self._judge.known(whole)
                if verdict is None:
                    verdict = self._judge.verdict(whole)
                    self._mend(verdict, [piece for piece in whole.pieces if low <= piece < high])
                wanted = verdict.keeps(number)
            if wanted:
                found.append(number)
        return found

    def _mend(self, verdict: Verdict, pieces: list[int]) -> None:
        """Have what was found before agree with what a line is now."""
        for piece in pieces:
            at = self.index(piece)
            if (at < len(self) and self.at(at) == piece) is verdict.keeps(piece):
                continue
            if verdict.keeps(piece):
                self._numbers.insert(at, piece)
            else:
                del self._numbers[at]

    def forget(self) -> None:
        """Drop what the buffer dropped."""
        first = self._buffer.first
        gone = bisect_left(self._numbers, first)
        self._gone += max(0, gone - bisect_left(self._numbers, self._mark))
        del self._numbers[:gone]
        self._to = max(self._to, first)
        self._from = min(max(self._from, first), self._to)
