"""Judges lines that came in pieces as what they are: each whole, by its text put together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from relay_tui.log_line import log_plain

if TYPE_CHECKING:
    from relay_tui.ui.log_buffer import LogBuffer, LogLine, Whole
    from relay_tui.ui.log_match import Pattern

MOST = 2 << 20
"""Characters of a line that patterns are tried on: one may never end."""
_TEXTS = 4  # lines whose text is kept, since more of them may come
_VERDICTS = 20_000


def bare(line: LogLine) -> str:
    """A piece's text without the name of its log, which stands before it where other logs' lines do."""
    return line.raw.removeprefix(line.name) if line.continued else line.raw


def name_before(line: LogLine) -> str:
    """What stands before a text that begins with this piece."""
    return "" if line.continued else line.name


def whole_text(lines: Iterable[LogLine]) -> list[str]:
    """What pieces say, one by one, as far as patterns are tried on it."""
    texts: list[str] = []
    size = 0
    for line in lines:
        texts.append(log_plain(bare(line)))
        size += len(texts[-1])
        if size >= MOST:
            break
    return texts


class Verdict(NamedTuple):
    """Whether a line in pieces is wanted, as far as its piece `last`, and where in it what is sought was found."""

    last: int
    wanted: bool
    spot: int | None = None

    def keeps(self, number: int) -> bool:
        """Whether a piece of it is wanted: all are, or the one with what is sought."""
        return self.wanted and self.spot in (None, number)


class Judge:
    """Has patterns judge lines in pieces. `spots`: of a line only the piece is wanted where the last one is found."""

    def __init__(self, buffer: LogBuffer, patterns: Sequence[Pattern], *, spots: bool) -> None:
        self._buffer = buffer
        self._patterns = patterns
        self._spots = spots
        self._verdicts: dict[int, Verdict] = {}
        self._texts: dict[int, tuple[int, list[str], int]] = {}  # by beginning: the first piece, texts, their size

    def known(self, whole: Whole) -> Verdict | None:
        """What was found of the line before; None if it was not looked at, or has more pieces now."""
        verdict = self._verdicts.get(whole.head)
        if verdict is None or (verdict.last != whole.pieces[-1] and whole.head >= self._buffer.first):
            return None
        return verdict

    def verdict(self, whole: Whole) -> Verdict:
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
        verdict = self._verdicts[whole.head] = Verdict(whole.pieces[-1], wanted, spot)
        if len(self._verdicts) > _VERDICTS:
            del self._verdicts[next(iter(self._verdicts))]
        return verdict

    def _text(self, whole: Whole) -> list[str]:
        """Its text; of a line that grows only what is new is looked at."""
        first, texts, size = self._texts.pop(whole.head, (whole.pieces[0], [], 0))
        if first != whole.pieces[0]:
            first, texts, size = whole.pieces[0], [], 0
        if size < MOST:
            more = whole_text(map(self._buffer.line, whole.pieces[len(texts) :]))
            texts += more
            size += sum(map(len, more))
        self._texts[whole.head] = first, texts, size
        if len(self._texts) > _TEXTS:
            del self._texts[next(iter(self._texts))]
        return texts
