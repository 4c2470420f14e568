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
    """Shown lines, accessed by index or by absolute number."""

    def __len__(self) -> int: ...

    def at(self, index: int) -> int:
        """Return the absolute number of the line at an index."""
        ...

    def index(self, number: int) -> int:
        """Return the index of the first line whose number is not less than `number`."""
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
        """Return the absolute number of the line at an index."""
        return self._buffer.first + index

    def index(self, number: int) -> int:
        """Return the index of the first line whose number is not less than `number`."""
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
        self._matcher = LogicalLineMatcher(buffer, patterns, spots=spots)
        self._numbers = array("q")
        self._from = self._to = buffer.end if start is None else min(max(start, buffer.first), buffer.end)
        self._mark = self._gone = 0  # a line number, and the number of matches from it on that the buffer dropped

    def __len__(self) -> int:
        return len(self._numbers)

    def at(self, index: int) -> int:
        """Return the absolute number of the line at an index."""
        return self._numbers[index]

    def index(self, number: int) -> int:
        """Return the index of the first line whose number is not less than `number`."""
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
        is_examined = self._to == self._buffer.end and self._from <= self._buffer.first
        return is_examined or any(pattern.given_up for pattern in self._patterns)

    def advance(self, seconds: float) -> bool:
        """Match lines for `seconds`. Return whether all lines have been examined."""
        deadline = time.perf_counter() + seconds
        self.forget()
        if self.complete:
            return True
        chunk = _FEW if self._buffer.in_pieces else _CHUNK
        earlier: list[array[int]] = []
        done = self._from
        while not self.complete:
            stop = min(self._to + chunk, self._buffer.end)
            self._numbers.extend(self._find(self._to, stop, done, self._to))
            self._to = stop
            start = max(self._from - chunk, self._buffer.first)
            earlier.append(array("q", self._find(start, self._from, done, self._to)))
            self._from = start
            if time.perf_counter() > deadline:
                break
        if any(earlier):
            whole = array("q")
            for part in reversed(earlier):
                whole.extend(part)
            self._numbers = whole + self._numbers
        return self.complete

    def _find(self, start: int, stop: int, low: int, high: int) -> list[int]:
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
                verdict = self._matcher.known(whole)
                if verdict is None:
                    verdict = self._matcher.verdict(whole)
                    self._reindex(verdict, [piece for piece in whole.pieces if low <= piece < high])
                wanted = verdict.keeps(number)
            if wanted:
                found.append(number)
        return found

    def _reindex(self, verdict: MatchResult, pieces: list[int]) -> None:
        """Correct the earlier matches among the pieces of a line by its new result."""
        for piece in pieces:
            at = self.index(piece)
            if (at < len(self) and self.at(at) == piece) is verdict.keeps(piece):
                continue
            if verdict.keeps(piece):
                self._numbers.insert(at, piece)
            else:
                del self._numbers[at]

    def forget(self) -> None:
        """Remove the matches that the buffer has dropped."""
        first = self._buffer.first
        gone = bisect_left(self._numbers, first)
        self._gone += max(0, gone - bisect_left(self._numbers, self._mark))
        del self._numbers[:gone]
        self._to = max(self._to, first)
        self._from = min(max(self._from, first), self._to)


_TEXTS = 4  # lines whose text is kept, because more pieces may arrive


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
    """Matcher for lines in pieces. With `spots`, only the piece with the last pattern's match is kept."""

    def __init__(self, buffer: LogBuffer, patterns: Sequence[Pattern], *, spots: bool) -> None:
        self._buffer = buffer
        self._patterns = patterns
        self._spots = spots
        self._verdicts: dict[int, MatchResult] = {}
        self._texts: dict[
            int, tuple[int, list[str], int]
        ] = {}  # by head: the first loaded piece, the texts, their size

    def known(self, whole: LogicalLine) -> MatchResult | None:
        """Return the earlier result for the line; None if it was not examined or has more pieces now."""
        verdict = self._verdicts.get(whole.head)
        if verdict is None or (verdict.last != whole.pieces[-1] and whole.head >= self._buffer.first):
            return None
        return verdict

    def verdict(self, whole: LogicalLine) -> MatchResult:
        """Match a line and store the result."""
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
        """Return the texts of the pieces. Only pieces that arrived since the last call are converted."""
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
