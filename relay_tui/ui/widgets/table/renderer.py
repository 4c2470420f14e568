"""Rows of a table as strips of text, in columns that fit the width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.strip import Strip

from relay_tui.ui.presentation.columns import (
    CellSegment,
    Column,
    Row,
    TableLayout,
    header_segments,
    lay_out,
    row_segments,
    widest,
)
from relay_tui.ui.presentation.formatting import Glyphs
from relay_tui.ui.widgets.table.cursor import TableCursor

_GUTTER = 2
"""Cells before the first column: the cursor's marker and a space."""
_MARGIN = 2
"""Cells after the last column: a space and the scrollbar's cell. Reserved so that nothing moves when it appears."""
_CACHED_STRIPS = 512

_Look = tuple[Row, str, bool, bool]
"""All that a row's appearance depends on while layout and colours stay: row, highlight, under the cursor, focused."""


class StyleSource(Protocol):
    """Source of the styles of a table's parts."""

    def __call__(self, *names: str) -> Style:
        """Return the style of the parts `names`, the last one winning."""


class TableRenderer:
    """Layout of the columns and a cache of drawn lines. Knows no widget.

    A row is drawn once for as long as it looks the same.
    """

    def __init__(self, columns: Sequence[Column], cursor: TableCursor, glyphs: Glyphs, style: StyleSource) -> None:
        self.columns = tuple(columns)
        self.rows: tuple[Row, ...] = ()
        self.top = 0
        """Position of the first row on the screen."""
        self.show_header = True
        self.placeholder = ""
        self._cursor = cursor
        self._glyphs = glyphs
        self._style_source = style
        self._width = 0
        self._focused = False
        self._highlight = ""
        self._pattern: re.Pattern[str] | None = None
        self._content_widths: list[int] | None = None  # None: to be measured
        self._measured: dict[str, Row] = {}
        self._layout = TableLayout()
        self._strips: LRUCache[_Look, Strip] = LRUCache(_CACHED_STRIPS)
        self._bordered: LRUCache[_Look, Strip] = LRUCache(_CACHED_STRIPS)
        self._edges = Strip([]), Strip([])
        self._styles: dict[tuple[tuple[str, ...], bool], Style] = {}

    @property
    def header_height(self) -> int:
        """1 if the titles are drawn. A placeholder is drawn without titles."""
        return int(self.show_header and bool(self.rows or not self.placeholder))

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Draw other columns."""
        self.columns = tuple(columns)
        self.measure_again()

    def set_highlight(self, text: str) -> None:
        """Mark occurrences of `text` in cells, in any case."""
        self._highlight = text
        self._pattern = re.compile(re.escape(text), re.IGNORECASE) if text else None

    def set_view(self, width: int, top: int, *, focused: bool) -> None:
        """Set the cells of a line, the first row on the screen and the focus that following lines are drawn for.

        The widths of columns are measured again when the table gets another width.
        """
        self._width, self.top, self._focused = width, top, focused
        room = max(0, width - _GUTTER - _MARGIN)
        if self._content_widths is None or room != self._layout.width:
            titles = [self._glyphs.length(column.title) if self.show_header else 0 for column in self.columns]
            self._content_widths = widest(self.columns, self.rows, titles, self._glyphs)
            self._measured = {row.key: row for row in self.rows}
            self._lay_out(room)

    def measure_again(self) -> None:
        """Measure the widths of columns before the next line is drawn."""
        self._content_widths = None

    def widen(self, changed: Sequence[Row]) -> bool:
        """Take the `changed` rows into the widths. Return True if the columns move, so that all has to be redrawn."""
        if self._content_widths is None:
            return True
        measured = self._measured  # rows that a filter hid and shows again need not be measured again
        unknown = [row for row in changed if measured.get(row.key) is not row]
        measured.update((row.key, row) for row in unknown)
        wider = widest(self.columns, unknown, self._content_widths, self._glyphs)
        if wider == self._content_widths:
            return False
        self._content_widths = wider
        return self._lay_out(self._layout.width)

    def _lay_out(self, width: int) -> bool:
        """Fit the columns into `width`. Return True if the layout changed."""
        layout = lay_out(self.columns, self._content_widths or (), width)
        if layout == self._layout:
            return False
        self._layout = layout
        self._forget_strips()
        return True

    def forget_styles(self) -> None:
        """Drop all that was drawn in other colours."""
        self._styles.clear()
        self._forget_strips()

    def _forget_strips(self) -> None:
        self._strips.clear()
        self._bordered.clear()

    # --- lines ---

    def line(self, y: int) -> Strip:
        """Return line `y` of the table's content."""
        row = self.row_at(y)
        if row is not None:
            return self._row_strip(row)
        if not self.rows and self.placeholder:
            return self._placeholder_line(y)
        if y < self.header_height:
            return self._strip(header_segments(self.columns, self._layout, self._glyphs), "header")
        return self._strip([])

    def row_at(self, y: int) -> Row | None:
        """Return the row on line `y`; None if no row is drawn there."""
        header = self.header_height
        position = y - header + self.top
        return self.rows[position] if y >= header and position < len(self.rows) else None

    def set_edges(self, left: Strip, right: Strip) -> None:
        """Set what `bordered_line` draws before and after a row: border and scrollbar gutter."""
        self._edges = left, right
        self._bordered.clear()

    def bordered_line(self, row: Row, filters: Sequence[LineFilter], background: Color) -> Strip:
        """Return the line of a row between its edges, with `filters` applied."""
        look = self._look(row)
        line = self._bordered.get(look)
        if line is None:
            left, right = self._edges
            line = Strip.join((left, self._row_strip(row), right))
            for each in filters:
                line = line.apply_filter(each, background)
            self._bordered[look] = line
        return line

    def _look(self, row: Row) -> _Look:
        under_cursor = row.key == self._cursor.key
        return row, self._highlight, under_cursor, under_cursor and self._focused

    def _row_strip(self, row: Row) -> Strip:
        look = self._look(row)
        strip = self._strips.get(look)
        if strip is None:
            under_cursor = look[2]
            marker = self._glyphs.cursor if under_cursor else " "
            segments: list[CellSegment] = [(marker.ljust(_GUTTER), ("marker",))]
            segments += row_segments(row, self.columns, self._layout, self._pattern, self._glyphs)
            strip = self._strips[look] = self._strip(segments, "cursor" if under_cursor else "", gutter=False)
        return strip

    def _strip(self, segments: Sequence[CellSegment], background: str = "", *, gutter: bool = True) -> Strip:
        """Return one line over the whole width; `background` names the part that styles all of it."""
        line = [Segment(" " * _GUTTER, self._style(background, ()))] if gutter else []
        line += [Segment(text, self._style(background, tones)) for text, tones in _joined(segments)]
        return Strip(line).adjust_cell_length(self._width, self._style(background, ()))

    def _style(self, background: str, tones: tuple[str, ...]) -> Style:
        """Return the style of some text. Under the focused cursor the cursor's colour wins, for contrast."""
        focused = self._focused
        names = (*tones, background) if background == "cursor" and focused else (background, *tones)
        style = self._styles.get((names, focused))
        if style is None:
            style = self._styles[(names, focused)] = self._style_source(*(name for name in names if name))
        return style

    def _placeholder_line(self, y: int) -> Strip:
        """Return line `y` of the placeholder, wrapped, below one empty line."""
        room = self._width - _GUTTER - _MARGIN
        if y < 1 or room < 1:
            return self._strip([])
        lines = Content(self._glyphs.drawn(self.placeholder)).wrap(room)
        return self._strip([(lines[y - 1].plain, ("dim",))] if y <= len(lines) else [])


def _joined(segments: Sequence[CellSegment]) -> list[CellSegment]:
    """Return the segments with each gap joined to the segment before it: fewer segments are less work to draw."""
    joined: list[CellSegment] = []
    for text, tones in segments:
        if joined and (not text or text.isspace()) and "highlight" not in joined[-1][1]:
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        elif text:
            joined.append((text, tones))
    return joined
