"""Lines that match a search or filter. Matching runs in time slices, so that the screen stays responsive."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.line_text import MOST, name_before, pieces_text
from relay_tui.ui.log.model.pattern import _CHUNK, _FEW, Pattern

if TYPE_CHECKING:
    from relay_tui.ui.log.model.buffer import LogBuffer, LogicalLine
    from relay_tui.ui.log.model.pattern import Pattern


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
        """Return the number of matches from a line number on, trimmed ones included."""
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
        """Return the number of matches from a line number on."""
        return max(0, self._buffer.end - number)


class MatchIndex:
    """Lines of a buffer that all patterns accept, searched from a line in both directions. New lines are included.

    `start` is the number of that line, the end if None, so that the matches nearest to the reader are found first.

    A line in pieces is matched as a whole, again after each new piece. All its pieces are matches, or with `spots`
    the piece with the last pattern's match.
    """

    def __init__(self, buffer: LogBuffer, *patterns: Pattern, spots: bool = False, start: int | None = None) -> None:
        self._buffer = buffer
        self._patterns = patterns
        self._judge = LogicalLineMatcher(buffer, patterns, spots=spots)
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
        """Return the number of matches from a line number on, trimmed ones included."""
        if number != self._mark:
            self._mark, self._gone = number, 0
        return self._gone + len(self) - self.index(number)

    def place(self, number: int) -> int:
        """Return the rank of a line among the matches, from 1; 0 if it does not match."""
        at = self.index(number)
        return at + 1 if at < len(self) and self.at(at) == number else 0

    @property
    def complete(self) -> bool:
        """Whether every line has been examined."""
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
        """Return the matches of a range. Known matches from `low` to `high` may need corrections."""
        patterns, buffer = self._patterns, self._buffer
        if not buffer.in_pieces:
            return [n for n, line in buffer.lines(start, stop) if all(p.accepts(line.raw, line.name) for p in patterns)]
        found = []
        for number, line in buffer.lines(start, stop):
            whole = buffer.logical_line(number, line)
            if len(whole.pieces) == 1 and whole.head == number:
                wanted = all(pattern.accepts(line.raw, line.name) for pattern in patterns)
            else:
                verdict = self._judge.known(whole)
                if verdict is None:
                    verdict = self._judge.verdict(whole)
                    self._reindex(verdict, [piece for piece in whole.pieces if low <= piece < high])
                wanted = verdict.keeps(number)
            if wanted:
                found.append(number)
        return found

    def _reindex(self, verdict: MatchResult, pieces: list[int]) -> None:
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


_TEXTS = 4  # lines whose text is kept, since more of them may come


_VERDICTS = 20_000


class MatchResult(NamedTuple):
    """Result for a line in pieces up to its piece `last`: whether it matches, and the piece with the match."""

    last: int
    wanted: bool
    spot: int | None = None

    def keeps(self, number: int) -> bool:
        """Return whether a piece is kept: all pieces, or the one with the match."""
        return self.wanted and self.spot in (None, number)


class LogicalLineMatcher:
    """Has patterns judge lines in pieces. `spots`: of a line only the piece is wanted where the last one is found."""

    def __init__(self, buffer: LogBuffer, patterns: Sequence[Pattern], *, spots: bool) -> None:
        self._buffer = buffer
        self._patterns = patterns
        self._spots = spots
        self._verdicts: dict[int, MatchResult] = {}
        self._texts: dict[int, tuple[int, list[str], int]] = {}  # by beginning: the first piece, texts, their size

    def known(self, whole: LogicalLine) -> MatchResult | None:
        """Return the earlier result for the line; None if it was not examined or has more pieces now."""
        verdict = self._verdicts.get(whole.head)
        if verdict is None or (verdict.last != whole.pieces[-1] and whole.head >= self._buffer.first):
            return None
        return verdict

    def verdict(self, whole: LogicalLine) -> MatchResult:
        """Look at the line."""
        texts = self._text(whole)
        text = "".join(texts)
        name = name_before(self._buffer.line(whole.pieces[0]))
        wanted = all(pattern.accepts_text(text, name) for pattern in self._patterns)
        spot = None
        if wanted and self._spots:
            ends = list(accumulate(map(len, texts)))
            at = bisect_right(ends, self._patterns[-1].first(text, name))
            spot = whole.pieces[min(at, len(texts) - 1)]
        verdict = self._verdicts[whole.head] = MatchResult(whole.pieces[-1], wanted, spot)
        if len(self._verdicts) > _VERDICTS:
            del self._verdicts[next(iter(self._verdicts))]
        return verdict

    def _text(self, whole: LogicalLine) -> list[str]:
        """Its text; of a line that grows only what is new is looked at."""
        first, texts, size = self._texts.pop(whole.head, (whole.pieces[0], [], 0))
        if first != whole.pieces[0]:
            first, texts, size = whole.pieces[0], [], 0
        if size < MOST:
            more = pieces_text(map(self._buffer.line, whole.pieces[len(texts) :]))
            texts += more
            size += sum(map(len, more))
        self._texts[whole.head] = first, texts, size
        if len(self._texts) > _TEXTS:
            del self._texts[next(iter(self._texts))]
        return texts
