"""Rows and columns of a table as values, and the layout that fits them into a width."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from relay_tui.ui.presentation.formatting import Glyphs, Tone

CellSegment = tuple[str, tuple[str, ...]]
"""Part of a drawn line: its text and the component names that style it, the last one winning."""

BAR_WIDTH = 10
"""Cells of a progress bar."""
_BAR_NEEDS = 36
"""Cells below which a wide cell shows its text without a progress bar."""
_WIDE_NEEDS = 56
"""Cells below which a wide cell starts behind the content of the column before it, not under its own column."""
_WIDE_LEAST = 12
"""Cells below which a wide cell is not drawn if no column is left to replace."""
_NARROW = 60
"""Cells of a table below which the gap between columns is one cell instead of two."""
_BROAD = 100
"""Cells of a table from which on a long name or branch may take a quarter before columns are dropped, else a third."""


class Cell(NamedTuple):
    """Text of one cell as (text, tone) spans. A tuple, because thousands of tuples compare in a millisecond."""

    spans: tuple[tuple[str, Tone], ...] = ()

    @property
    def plain(self) -> str:
        """The text without tones."""
        return self.spans[0][0] if len(self.spans) == 1 else "".join(text for text, _ in self.spans)


def cell(text: str, tone: Tone = "") -> Cell:
    """Return a cell of one span. The text is drawn verbatim, so the caller has to sanitize it."""
    return Cell(((text, tone),))


class Row(NamedTuple):
    """One line. `wide` replaces the cells from column `wide_from` on; `progress` (0..1) is drawn as a bar before it."""

    key: str
    cells: tuple[Cell, ...]
    wide: Cell | None = None
    wide_from: int = 1
    progress: float | None = None


class Column(NamedTuple):
    """Layout rules of one column.

    Without `width` the column fits its content, between `min_width` and `max_width` cells. A column with `grow` takes a
    share of the space left over, even past `max_width`. If there is too little room, growing columns shrink to a share
    of the table or to `min_width`, whichever is more. Then columns are dropped: the lowest `priority` first, among
    equals the rightmost.
    """

    id: str
    title: str
    width: int | None = None
    min_width: int = 4
    max_width: int | None = None
    grow: int = 0
    priority: int = 0
    align: Literal["left", "right"] = "left"
    ellipsis: Literal["end", "middle"] = "end"


class VisibleColumn(NamedTuple):
    """A column that is shown: its index, its width in cells, and the cells that its content can fill."""

    column: int
    width: int
    filled: int


class TableLayout(NamedTuple):
    """The columns that are shown in a width, from left to right, `gap` cells apart."""

    width: int = 0
    gap: int = 2
    columns: tuple[VisibleColumn, ...] = ()

    def wide_start(self, wide_from: int) -> tuple[int, int]:
        """Return the number of columns before a wide cell and the cells left for it; 0 cells if there are too few.

        The wide cell starts under the first shown column from `wide_from` on. If that leaves little room, it starts
        behind the content of the column before.
        """
        before = [shown for shown in self.columns if shown.column < wide_from]
        room = self.width - sum(shown.width + self.gap for shown in before)
        if before and room < _WIDE_NEEDS:
            room += before[-1].width - before[-1].filled
        return len(before), room if len(before) < len(self.columns) or room >= _WIDE_LEAST else 0


def widest(columns: Sequence[Column], rows: Iterable[Row], least: Sequence[int], glyphs: Glyphs) -> list[int]:
    """Return the widths of the columns' widest cells, at least `least`. Cells under a wide cell do not count."""
    widths = list(least)
    fitted = [index for index, column in enumerate(columns) if column.width is None]
    for row in rows:
        end = len(row.cells) if row.wide is None else min(row.wide_from, len(row.cells))
        for index in fitted:
            if index >= end:
                break
            text = row.cells[index].plain
            length = len(text) if text.isascii() else glyphs.length(text)
            if length > widths[index]:
                widths[index] = length
    return widths


def lay_out(columns: Sequence[Column], content: Sequence[int], width: int) -> TableLayout:
    """Fit `columns` into `width`: drop by priority, then share the space left or shrink. `content` is in cells."""
    gap = 1 if width < _NARROW else 2
    if width <= 0 or not columns:
        return TableLayout(max(0, width), gap)
    natural = [_natural(column, content[index]) for index, column in enumerate(columns)]
    growing = [index for index, column in enumerate(columns) if column.grow and column.width is None]
    widths = list(natural)
    share = width // (3 if width < _BROAD else 4)
    for index in growing:  # others are dropped for the first share of the width only; it gets more from what is left
        widths[index] = max(min(natural[index], share), columns[index].min_width)
    shown = list(range(len(columns)))

    def spare() -> int:
        return width - sum(widths[index] for index in shown) - gap * (len(shown) - 1)

    while len(shown) > 1 and spare() < 0:
        shown.remove(min(shown, key=lambda index: (columns[index].priority, -index)))
    if spare() >= 0:
        _stretch(columns, widths, natural, [index for index in growing if index in shown], spare())
    else:
        widths[shown[0]] = width
    return TableLayout(width, gap, tuple(VisibleColumn(at, widths[at], min(widths[at], natural[at])) for at in shown))


def _natural(column: Column, content: int) -> int:
    """Return the width of a column if there is enough room."""
    if column.width is not None:
        return column.width
    size = max(content, column.min_width)
    return size if column.max_width is None else min(size, column.max_width)


def _stretch(
    columns: Sequence[Column], widths: list[int], natural: Sequence[int], growing: Sequence[int], spare: int
) -> None:
    """Give `spare` cells to the growing columns: first what their content lacks, by priority, then by weight."""
    for index in sorted(growing, key=lambda index: -columns[index].priority):
        more = max(0, min(spare, natural[index] - widths[index]))
        widths[index] += more
        spare -= more
    weight = sum(columns[index].grow for index in growing)
    for index in growing:
        if spare > 0 and weight > 0:
            more = spare * columns[index].grow // weight
            widths[index] += more
            spare -= more
            weight -= columns[index].grow


def fit(
    segments: Sequence[CellSegment], width: int, glyphs: Glyphs, *, right: bool = False, middle: bool = False
) -> list[CellSegment]:
    """Pad or cut `segments` to exactly `width` cells. A wide character that would be halved is left out."""
    lengths = sum(glyphs.length(text) for text, _ in segments)
    if lengths > width:
        segments = _cut(segments, width, glyphs, middle=middle)
        lengths = sum(glyphs.length(text) for text, _ in segments)
    if lengths >= width:
        return list(segments)
    pad: CellSegment = (" " * (width - lengths), ())
    return [pad, *segments] if right else [*segments, pad]


def _cut(segments: Sequence[CellSegment], width: int, glyphs: Glyphs, *, middle: bool) -> list[CellSegment]:
    """Return the head of `segments`, and with `middle` their tail, around an ellipsis, in at most `width` cells."""
    plain = "".join(text for text, _ in segments)
    mark = glyphs.ellipsis if width > len(glyphs.ellipsis) else ""
    room = width - len(mark)
    tail_room = room // 2 if middle else 0
    head = _head(plain, room - tail_room, glyphs)
    start = len(plain) - _tail(plain, tail_room, glyphs)
    cut = _slice(segments, 0, len(plain[:head].rstrip()) if mark else head)
    tones = cut[-1][1] if cut else ()
    rest = _slice(segments, start, len(plain))
    return [*cut, (mark, tones), *rest] if mark else cut + rest


def _head(text: str, room: int, glyphs: Glyphs) -> int:
    """Count the characters from the start of `text` that fit into `room` cells. Marks stay with their letter."""
    return bisect_right(range(1, len(text) + 1), room, key=lambda end: glyphs.length(text[:end]))


def _tail(text: str, room: int, glyphs: Glyphs) -> int:
    """Count the characters at the end of `text` that fit into `room` cells, never starting with a combining mark."""
    count = bisect_right(range(1, len(text) + 1), room, key=lambda size: glyphs.length(text[-size:]))
    while count and glyphs.length(text[-count]) == 0:
        count -= 1
    return count


def _slice(segments: Sequence[CellSegment], start: int, end: int) -> list[CellSegment]:
    """Return the characters `start` to `end` of `segments`."""
    pieces: list[CellSegment] = []
    at = 0
    for text, tones in segments:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            pieces.append((piece, tones))
        at += len(text)
    return pieces


def cell_segments(content: Cell, pattern: re.Pattern[str] | None, glyphs: Glyphs) -> list[CellSegment]:
    """Return the segments of a cell, with matches of `pattern` also styled as `highlight`, across spans too."""
    spans = content.spans
    segments: list[CellSegment] = [(glyphs.drawn(text), (tone,) if tone else ()) for text, tone in spans if text]
    if pattern is None or not segments:
        return segments
    plain = "".join(text for text, _ in segments)
    marked: list[CellSegment] = []
    at = 0
    for match in pattern.finditer(plain):
        marked += _slice(segments, at, match.start())
        marked += [(text, (*tones, "highlight")) for text, tones in _slice(segments, match.start(), match.end())]
        at = match.end()
    return marked + _slice(segments, at, len(plain)) if marked else segments


def bar_segments(progress: float, glyphs: Glyphs) -> list[CellSegment]:
    """Return a bar of `BAR_WIDTH` cells, filled to `progress`, in steps of half a cell if there is a glyph for that."""
    full, half, rest = glyphs.bar
    halves = round(max(0.0, min(1.0, progress)) * BAR_WIDTH * 2)
    done = full * (halves // 2) + (half if halves % 2 else "")
    return [(done, ("busy",)), (rest * (BAR_WIDTH - len(done)), ("dim",))]


def row_segments(
    row: Row, columns: Sequence[Column], layout: TableLayout, pattern: re.Pattern[str] | None, glyphs: Glyphs
) -> list[CellSegment]:
    """Return the segments of a row from the first column on, never wider than the layout."""
    before, room = layout.wide_start(row.wide_from) if row.wide is not None else (0, 0)
    segments: list[CellSegment] = []
    left = layout.width
    for shown in layout.columns[:before] if room else layout.columns:
        column = columns[shown.column]
        content = row.cells[shown.column] if shown.column < len(row.cells) else Cell()
        cells = cell_segments(content, pattern, glyphs)
        width = min(shown.width, left - room - layout.gap) if room else shown.width
        segments += fit(cells, width, glyphs, right=column.align == "right", middle=column.ellipsis == "middle")
        segments.append((" " * layout.gap, ()))
        left -= width + layout.gap
    if row.wide is None or not room:
        return segments[:-1]
    return segments + _wide_segments(row, row.wide, room, pattern, glyphs)


def _wide_segments(
    row: Row, wide: Cell, width: int, pattern: re.Pattern[str] | None, glyphs: Glyphs
) -> list[CellSegment]:
    """Return the wide cell of a row in `width` cells, behind a bar if there is progress and room."""
    bar: list[CellSegment] = []
    if row.progress is not None and width >= _BAR_NEEDS:
        bar = [*bar_segments(row.progress, glyphs), (" ", ())]
        width -= BAR_WIDTH + 1
    return bar + fit(cell_segments(wide, pattern, glyphs), width, glyphs)


def header_segments(columns: Sequence[Column], layout: TableLayout, glyphs: Glyphs) -> list[CellSegment]:
    """Return the titles above the columns that are shown, aligned as their cells."""
    titles = tuple(cell(column.title) for column in columns)
    return row_segments(Row("", titles), columns, layout, None, glyphs)
