"""Rows and columns as values, and how they are fitted into a width. Knows no widget, so it is tested without an app."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len

Tone = Literal["", "dim", "good", "busy", "bad", "accent", "bold"]
Run = tuple[str, tuple[str, ...]]
"""A piece of a drawn line: its text and the component names that style it, the last one winning."""

BAR_WIDTH = 10
_BAR_NEEDS = 36
"""Narrower than this, the text of a wide cell is worth more than a bar before it."""
_WIDE_NEEDS = 56
"""Narrower than this, a wide cell starts behind the content of the column before it, not under its own column."""
_WIDE_LEAST = 12
"""Where no column is left to replace, a wide cell with less room than this is not drawn."""
_NARROW = 60
_BROAD = 100
"""From this width on a long name or branch is cut to a quarter of it before any column goes, below that to a third."""


class Cell(NamedTuple):
    """Text of one cell as (text, tone) spans. A tuple, so that thousands compare in a millisecond."""

    spans: tuple[tuple[str, Tone], ...] = ()

    @property
    def plain(self) -> str:
        """The text without its tones."""
        return self.spans[0][0] if len(self.spans) == 1 else "".join(text for text, _ in self.spans)


def cell(text: str, tone: Tone = "") -> Cell:
    """A cell of one span. The text is drawn verbatim and is expected to be cleaned."""
    return Cell(((text, tone),))


class Row(NamedTuple):
    """One line. `wide` stands in for the cells from column `wide_from` on, `progress` (0..1) is a bar before it."""

    key: str
    cells: tuple[Cell, ...]
    wide: Cell | None = None
    wide_from: int = 1
    progress: float | None = None


class Column(NamedTuple):
    """How one column is laid out.

    Without `width` it fits its content between `min_width` and `max_width`. A column with `grow` takes a share of the
    space left over, even past `max_width`. Where room is short, growing columns shrink to a share of the table or to
    `min_width`, whichever is more, and then columns go: the lowest `priority` first, among equals the rightmost.
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


class Glyphs(NamedTuple):
    """What the table itself draws. With `ascii_only` every character of the cells that is not ASCII becomes a `?`."""

    marker: str
    ellipsis: str
    bar: tuple[str, str, str]
    ascii_only: bool

    def length(self, text: str) -> int:
        """How many cells `text` takes once drawn."""
        return len(text) if self.ascii_only or text.isascii() else cell_len(text)

    def drawn(self, text: str) -> str:
        """`text` as it goes to the screen."""
        return text.encode("ascii", "replace").decode() if self.ascii_only else text


UNICODE = Glyphs("▌", "…", ("━", "╸", "─"), ascii_only=False)
ASCII = Glyphs(">", "...", ("#", "", "-"), ascii_only=True)


class VisibleColumn(NamedTuple):
    """A column that is shown: its index, its width in cells, and how much of that its content can fill."""

    column: int
    width: int
    filled: int


class TableLayout(NamedTuple):
    """The columns that are shown in a width, from left to right, `gap` cells apart."""

    width: int = 0
    gap: int = 2
    places: tuple[VisibleColumn, ...] = ()

    def wide_start(self, wide_from: int) -> tuple[int, int]:
        """Where a wide cell goes: how many columns stay before it, and the cells left for it; 0 if that is too few.

        It starts under the first shown column from `wide_from` on, or where that is too far to the right to say much,
        behind the content of the column before.
        """
        before = [place for place in self.places if place.column < wide_from]
        room = self.width - sum(place.width + self.gap for place in before)
        if before and room < _WIDE_NEEDS:
            room += before[-1].width - before[-1].filled
        return len(before), room if len(before) < len(self.places) or room >= _WIDE_LEAST else 0


def widest(columns: Sequence[Column], rows: Iterable[Row], least: Sequence[int], glyphs: Glyphs) -> list[int]:
    """The widest cell of each column that fits its content, at least `least`. Cells under a wide one do not count."""
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
    """Fit `columns` with `content` cells each into `width`: drop by priority, then share the space left or shrink."""
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
    """What a column would take if there were room."""
    if column.width is not None:
        return column.width
    size = max(content, column.min_width)
    return size if column.max_width is None else min(size, column.max_width)


def _stretch(
    columns: Sequence[Column], widths: list[int], natural: Sequence[int], growing: Sequence[int], spare: int
) -> None:
    """Hand `spare` cells to the growing columns: what their content lacks, by priority, and then by weight."""
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


def fit(runs: Sequence[Run], width: int, glyphs: Glyphs, *, right: bool = False, middle: bool = False) -> list[Run]:
    """Pad or cut `runs` to exactly `width` cells. A wide character that would be halved goes as a whole."""
    lengths = sum(glyphs.length(text) for text, _ in runs)
    if lengths > width:
        runs = _cut(runs, width, glyphs, middle=middle)
        lengths = sum(glyphs.length(text) for text, _ in runs)
    if lengths >= width:
        return list(runs)
    pad: Run = (" " * (width - lengths), ())
    return [pad, *runs] if right else [*runs, pad]


def _cut(runs: Sequence[Run], width: int, glyphs: Glyphs, *, middle: bool) -> list[Run]:
    """The head of `runs`, and with `middle` also their tail, around an ellipsis, in at most `width` cells."""
    plain = "".join(text for text, _ in runs)
    mark = glyphs.ellipsis if width > len(glyphs.ellipsis) else ""
    room = width - len(mark)
    tail_room = room // 2 if middle else 0
    head = _head(plain, room - tail_room, glyphs)
    start = len(plain) - _tail(plain, tail_room, glyphs)
    cut = _slice(runs, 0, len(plain[:head].rstrip()) if mark else head)
    tones = cut[-1][1] if cut else ()
    return [*cut, (mark, tones), *_slice(runs, start, len(plain))] if mark else cut + _slice(runs, start, len(plain))


def _head(text: str, room: int, glyphs: Glyphs) -> int:
    """How many characters of `text` from its start fit into `room` cells, combining marks with their letter."""
    return bisect_right(range(1, len(text) + 1), room, key=lambda end: glyphs.length(text[:end]))


def _tail(text: str, room: int, glyphs: Glyphs) -> int:
    """How many characters of `text` at its end fit into `room` cells, never starting with a combining mark."""
    count = bisect_right(range(1, len(text) + 1), room, key=lambda size: glyphs.length(text[-size:]))
    while count and glyphs.length(text[-count]) == 0:
        count -= 1
    return count


def _slice(runs: Sequence[Run], start: int, end: int) -> list[Run]:
    """The characters `start` to `end` of `runs`."""
    pieces: list[Run] = []
    at = 0
    for text, tones in runs:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            pieces.append((piece, tones))
        at += len(text)
    return pieces


def cell_segments(content: Cell, pattern: re.Pattern[str] | None, glyphs: Glyphs) -> list[Run]:
    """The runs of a cell, with every match of `pattern` styled as `highlight` on top of its tone, across spans too."""
    runs: list[Run] = [(glyphs.drawn(text), (tone,) if tone else ()) for text, tone in content.spans if text]
    if pattern is None or not runs:
        return runs
    plain = "".join(text for text, _ in runs)
    marked: list[Run] = []
    at = 0
    for match in pattern.finditer(plain):
        marked += _slice(runs, at, match.start())
        marked += [(text, (*tones, "highlight")) for text, tones in _slice(runs, match.start(), match.end())]
        at = match.end()
    return marked + _slice(runs, at, len(plain)) if marked else runs


def bar_runs(progress: float, glyphs: Glyphs) -> list[Run]:
    """A bar of `BAR_WIDTH` cells, filled to `progress`, in steps of half a cell where there is a glyph for that."""
    full, half, rest = glyphs.bar
    halves = round(max(0.0, min(1.0, progress)) * BAR_WIDTH * 2)
    done = full * (halves // 2) + (half if halves % 2 else "")
    return [(done, ("busy",)), (rest * (BAR_WIDTH - len(done)), ("dim",))]


def row_runs(
    row: Row, columns: Sequence[Column], layout: TableLayout, pattern: re.Pattern[str] | None, glyphs: Glyphs
) -> list[Run]:
    """A row as runs from the first column on, never wider than the layout."""
    before, room = layout.wide_start(row.wide_from) if row.wide is not None else (0, 0)
    runs: list[Run] = []
    left = layout.width
    for place in layout.places[:before] if room else layout.places:
        column = columns[place.column]
        content = row.cells[place.column] if place.column < len(row.cells) else Cell()
        cells = cell_segments(content, pattern, glyphs)
        width = min(place.width, left - room - layout.gap) if room else place.width
        runs += fit(cells, width, glyphs, right=column.align == "right", middle=column.ellipsis == "middle")
        runs.append((" " * layout.gap, ()))
        left -= width + layout.gap
    return runs + _wide_runs(row, row.wide, room, pattern, glyphs) if row.wide is not None and room else runs[:-1]


def _wide_runs(row: Row, wide: Cell, width: int, pattern: re.Pattern[str] | None, glyphs: Glyphs) -> list[Run]:
    """The wide cell of a row in `width` cells, behind a bar if there is progress and room."""
    bar: list[Run] = []
    if row.progress is not None and width >= _BAR_NEEDS:
        bar = [*bar_runs(row.progress, glyphs), (" ", ())]
        width -= BAR_WIDTH + 1
    return bar + fit(cell_segments(wide, pattern, glyphs), width, glyphs)


def header_runs(columns: Sequence[Column], layout: TableLayout, glyphs: Glyphs) -> list[Run]:
    """The titles over the columns that are shown, aligned as their cells."""
    titles = tuple(cell(column.title) for column in columns)
    return row_runs(Row("", titles), columns, layout, None, glyphs)
