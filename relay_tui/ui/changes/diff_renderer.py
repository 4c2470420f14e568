"""Render lines of a diff with changed words and syntax colours, on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from textual.cache import LRUCache

from relay_tui.text.sanitize import escape_controls
from relay_tui.ui.changes.diff_parser import Diff, LineKind
from relay_tui.ui.changes.syntax import Piece, colours, lexer_for
from relay_tui.ui.changes.word_diff import Span, changed_spans, pair_lines

_SEGMENT = 80  # lines of a hunk that are coloured at once
_BLOCK = 400  # lines of a block of changes that are looked at for pairs
_ODD = re.compile("[\u2400-\u2421]|<U\\+[0-9A-F]{4,6}>|\ufffd")


class RenderedLine(NamedTuple):
    """A line as text, with what to mark in it."""

    text: str
    marked: tuple[Span, ...]
    """Words that changed."""
    pieces: tuple[Piece, ...]
    """Syntax."""
    odd: tuple[Span, ...]
    """Characters that were spelled out."""


class DiffRenderer:
    """Draws lines of one diff, each when it is asked for. Not thread-safe: it is the screen's."""

    def __init__(self, diff: Diff, *, plain: bool) -> None:
        self._diff = diff
        self._plain = plain
        self._texts: LRUCache[int, str] = LRUCache(4096)
        self._marked: LRUCache[int, Mapping[int, tuple[Span, ...]]] = LRUCache(256)
        self._coloured: LRUCache[tuple[int, int, bool], Mapping[int, list[Piece]]] = LRUCache(256)
        self._too_slow: set[int] = set()

    def line(self, number: int) -> RenderedLine:
        """One line."""
        kind = self._diff.lines[number].kind
        text = self.text(number)
        odd = () if text.isascii() and "<U+" not in text else tuple(m.span() for m in _ODD.finditer(text))
        if kind in (LineKind.FILE, LineKind.META, LineKind.HUNK):
            return RenderedLine(text, (), (), odd)
        marked: tuple[Span, ...] = ()
        if kind is not LineKind.SAME:
            first, last = self._block(number)
            if first not in self._marked:
                self._marked[first] = self._marks(first, last)
            marked = self._marked[first].get(number, ())
        return RenderedLine(text, marked, tuple(self._pieces(number, kind)), odd)

    def text(self, number: int) -> str:
        """A line's text, safe to be shown."""
        found = self._texts.get(number)
        if found is None:
            found = self._texts[number] = escape_controls(self._diff.lines[number].raw, plain=self._plain)
        return found

    # --- words ---

    def _block(self, number: int) -> tuple[int, int]:
        """The run of deleted and then added lines that the line is in: from, to (exclusive)."""
        lines = self._diff.lines
        first = last = number
        kind = lines[number].kind
        if kind is LineKind.ADDED:
            while first > 0 and lines[first - 1].kind is LineKind.ADDED and number - first < _BLOCK:
                first -= 1
        while first > 0 and lines[first - 1].kind is LineKind.DELETED and number - first < _BLOCK:
            first -= 1
        while last < len(lines) and lines[last].kind is LineKind.DELETED and last - first < _BLOCK:
            last += 1
        while last < len(lines) and lines[last].kind is LineKind.ADDED and last - first < _BLOCK:
            last += 1
        return first, last

    def _marks(self, first: int, last: int) -> Mapping[int, tuple[Span, ...]]:
        lines = self._diff.lines
        split = next((n for n in range(first, last) if lines[n].kind is LineKind.ADDED), last)
        if split in (first, last) or last - first >= _BLOCK:
            return {}
        olds = [self.text(number) for number in range(first, split)]
        news = [self.text(number) for number in range(split, last)]
        marked: dict[int, tuple[Span, ...]] = {}
        for old, new in pair_lines(olds, news).items():
            marked[first + old], marked[split + new] = changed_spans(olds[old], news[new])
        return marked

    # --- syntax ---

    def _pieces(self, number: int, kind: LineKind) -> list[Piece]:
        diff = self._diff
        file, hunk = diff.file_at(number), diff.hunk_at(number)
        lexer = lexer_for(diff.paths[file]) if file >= 0 else None
        if lexer is None or hunk < 0 or file in self._too_slow:
            return []
        start = diff.hunks[hunk] + 1
        segment = (number - start) // _SEGMENT
        old_side = kind is LineKind.DELETED
        key = (start, segment, old_side)
        found = self._coloured.get(key)
        if found is None:
            first = start + segment * _SEGMENT
            end = min(first + _SEGMENT, diff.hunk_lines(hunk).stop)
            wanted = (LineKind.SAME, LineKind.DELETED) if old_side else (LineKind.SAME, LineKind.ADDED)
            numbers = [n for n in range(first, end) if diff.lines[n].kind in wanted]
            coloured = colours(lexer, [self.text(n) for n in numbers])
            if coloured is None:
                self._too_slow.add(file)
            found = self._coloured[key] = dict(zip(numbers, coloured or [], strict=False))
        return found.get(number, [])
