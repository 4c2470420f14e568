"""The rows of a table as they are drawn, in columns that fit the width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.cache import LRUCache
from textual.color import Color
from textual.filter import LineFilter
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.widget import Widget

from relay_tui.ui.presentation.columns import (
    ASCII,
    UNICODE,
    Column,
    Glyphs,
    Row,
    Run,
    TableLayout,
    header_runs,
    lay_out,
    row_runs,
    widest,
)
from relay_tui.ui.widgets.table.cursor import TableCursor
from relay_tui.ui.widgets.titled_border import TitledBorder

_GUTTER = 2
"""Cells before the first column: the cursor's marker and a space."""
_MARGIN = 2
"""Cells after the last column: a space, and where the scrollbar is drawn, so that nothing moves when it appears."""


class TableRenderer(TitledBorder, TableCursor):
    """Draws the rows that are on the screen, each once for as long as it looks the same.

    Its colours are chosen so that the tones stay apart when a terminal with 16 colours gets the nearest ones.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-table--accent",
        "row-table--bad",
        "row-table--bold",
        "row-table--busy",
        "row-table--cursor",
        "row-table--dim",
        "row-table--good",
        "row-table--header",
        "row-table--highlight",
        "row-table--marker",
    }
    DEFAULT_CSS = """
    TableRenderer {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & > .row-table--header { color: $text-muted; text-style: bold; }
        & > .row-table--marker { color: $primary; }
        & > .row-table--dim { color: $text-muted; }
        & > .row-table--good { color: $success; }
        & > .row-table--busy { color: $text-warning; }
        & > .row-table--bad { color: $error-lighten-2; }
        & > .row-table--accent { color: $primary-lighten-1; }
        & > .row-table--bold { text-style: bold; }
        & > .row-table--highlight { color: $text-accent; text-style: bold underline; }
        &:light {
            & > .row-table--good { color: $text-success; }
            & > .row-table--bad { color: $text-error; }
            & > .row-table--accent { color: $text-primary; }
        }
        & > .row-table--cursor { background: $block-cursor-blurred-background; }
        &:focus > .row-table--cursor {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
    }
    """

    show_header: reactive[bool] = reactive(True)
    """Draw the titles of the columns over the rows."""
    placeholder: reactive[str] = reactive("")
    """What to say, wrapped, where there are no rows."""
    highlight: reactive[str] = reactive("")
    """Occurrences of this in cells are marked, whatever their case."""

    def __init__(
        self,
        columns: Sequence[Column] = (),
        *,
        ascii: bool = False,  # noqa: A002
        show_header: bool = True,
        placeholder: str = "",
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._glyphs: Glyphs = ASCII if ascii else UNICODE
        self._rows: tuple[Row, ...] = ()
        self._index: dict[str, int] = {}
        self._cursor: str | None = None
        self._content_widths: list[int] | None = None
        self._measured: dict[str, Row] = {}
        self._row_layout = TableLayout()
        self._pattern: re.Pattern[str] | None = None
        self._drawn: LRUCache[tuple[Row, str, bool, bool], Strip] = LRUCache(512)
        self._framed: LRUCache[tuple[Row, str, bool, bool], Strip] = LRUCache(512)
        self._frame: object = None
        self._edges = Strip([]), Strip([])
        self._styles: dict[tuple[tuple[str, ...], bool], Style] = {}
        self._colours: tuple[str, VisualStyle] | None = None
        self.set_reactive(Widget.show_vertical_scrollbar, True)  # it never goes: that would lay out the screen
        self.set_reactive(TableRenderer.show_header, show_header)
        self.set_reactive(TableRenderer.placeholder, placeholder)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as they were set last."""
        return self._rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns as they were set last, whether there is room for them or not."""
        return self._columns

    # Which lines are drawn anew

    def _window(self, top: int) -> tuple[Row, ...]:
        """The rows on the screen when scrolled to `top`."""
        return self._rows[top : top + self._page]

    def _redraw_rows(self, fresh: Sequence[Row]) -> None:
        """Draw rows that have changed where they were, or everything if a column has to grow for them."""
        if self._grew(fresh):
            self._redraw()
        else:
            self._refresh_rows([row.key for row in fresh])

    def _refresh_rows(self, keys: Sequence[str]) -> None:
        """Refresh those of the rows that are on the screen."""
        header, index = self._header_height, self._index
        first = header - self.scroll_offset.y
        width, height = self.content_size
        lines = {index[key] + first for key in keys if key in index}
        regions = [Region(0, y, width, 1) for y in lines if header <= y < height]
        if regions:
            self.refresh(*regions)

    def _redraw(self) -> None:
        """Draw everything anew; strips of rows that look the same are kept only while the layout is the same."""
        self._fit_height()
        self.refresh()

    def _fit_height(self) -> None:
        """Tell the scrollbar alone how many lines there are: everybody else's place is what it was."""
        size = Size(0, len(self._rows) + self._header_height)
        if not self.size:
            self.virtual_size = size
        elif size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height

    # How it is laid out

    @property
    def _header_height(self) -> int:
        """1 where the titles are drawn; a placeholder stands alone."""
        return int(self.show_header and bool(self._rows or not self.placeholder))

    @property
    def _page(self) -> int:
        """How many rows fit on the screen."""
        return max(0, self.content_size.height - self._header_height)

    def _grew(self, fresh: Sequence[Row]) -> bool:
        """Take the `fresh` rows into the widths; true if the columns have to be laid out again."""
        if self._content_widths is None:
            return True
        measured = self._measured  # what a filter hid and shows again is as wide as it was
        unknown = [row for row in fresh if measured.get(row.key) is not row]
        measured.update((row.key, row) for row in unknown)
        wider = widest(self._columns, unknown, self._content_widths, self._glyphs)
        if wider == self._content_widths:
            return False
        self._content_widths = wider
        return self._lay_out(self._row_layout.width)

    def _lay_out(self, width: int) -> bool:
        """Fit the columns into `width`; true if that differs from the layout before."""
        layout = lay_out(self._columns, self._content_widths or (), width)
        if layout == self._row_layout:
            return False
        self._row_layout = layout
        self._forget_drawn()
        return True

    def _current_layout(self) -> TableLayout:
        """The layout for the present width. Widths of columns are forgotten when the table gets another width."""
        width = max(0, self.content_size.width - _GUTTER - _MARGIN)
        if self._content_widths is None or width != self._row_layout.width:
            titles = [self._glyphs.length(column.title) if self.show_header else 0 for column in self._columns]
            self._content_widths = widest(self._columns, self._rows, titles, self._glyphs)
            self._measured = {row.key: row for row in self._rows}
            self._lay_out(width)
        return self._row_layout

    # How it is drawn

    def _forget_drawn(self) -> None:
        self._drawn.clear()
        self._framed.clear()

    def render_line(self, y: int) -> Strip:
        """Line `y` of what is on the screen."""
        row = self._row_at(y)
        if row is not None:
            return self._row_strip(row)
        if not self._rows and self.placeholder:
            return self._placeholder_line(y)
        if y < self._header_height:
            return self._strip(header_runs(self._columns, self._current_layout(), self._glyphs), "header")
        return self._strip([])

    def _row_at(self, y: int) -> Row | None:
        """The row on that line of the screen."""
        header = self._header_height
        at = y - header + self.scroll_offset.y
        return self._rows[at] if y >= header and at < len(self._rows) else None

    def _look(self, row: Row) -> tuple[Row, str, bool, bool]:
        """All that a row's looks depend on, for as long as the layout and the colours are the same."""
        under_cursor = row.key == self._cursor
        return row, self.highlight, under_cursor, under_cursor and self.has_focus

    def _row_strip(self, row: Row) -> Strip:
        """A row as it looks now, from the cache if it has been drawn that way before."""
        layout, look = self._current_layout(), self._look(row)
        strip = self._drawn.get(look)
        if strip is None:
            under_cursor = look[2]
            marker = self._glyphs.marker if under_cursor else " "
            runs: list[Run] = [(marker.ljust(_GUTTER), ("marker",))]
            runs += row_runs(row, self._columns, layout, self._pattern, self._glyphs)
            strip = self._drawn[look] = self._strip(runs, "cursor" if under_cursor else "", gutter=False)
        return strip

    def _strip(self, runs: Sequence[Run], look: str = "", *, gutter: bool = True) -> Strip:
        """Runs as one line over the whole width, `look` giving its background."""
        segments = [Segment(" " * _GUTTER, self._style(look, ()))] if gutter else []
        segments += [Segment(text, self._style(look, tones)) for text, tones in _joined(runs)]
        return Strip(segments).adjust_cell_length(self.content_size.width, self._style(look, ()))

    def _style(self, look: str, tones: tuple[str, ...]) -> Style:
        """The style of some text. Under the focused cursor the cursor's colour wins, for contrast."""
        names = (*tones, look) if look == "cursor" and self.has_focus else (look, *tones)
        style = self._styles.get((names, self.has_focus))
        if style is None:
            style = self.get_visual_style(*(f"row-table--{name}" for name in names if name)).rich_style
            self._styles[(names, self.has_focus)] = style
        return style

    def _placeholder_line(self, y: int) -> Strip:
        """The placeholder below one empty line, wrapped."""
        room = self.content_size.width - _GUTTER - _MARGIN
        if y < 1 or room < 1:
            return self._strip([])
        lines = Text(self._glyphs.drawn(self.placeholder)).wrap(self.app.console, room)
        return self._strip([(lines[y - 1].plain, ("dim",))] if y <= len(lines) else [])

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines with the frame around them, each row's put together once for as long as both look the same."""
        gutter, width = self.styles.gutter, self.outer_size.width
        inside = range(gutter.top, gutter.top + self.content_size.height)
        if self.opacity != 1 or self.styles.tint.a or any(self.styles.padding) or not inside:
            return super().render_lines(crop)
        self._current_layout()  # what was drawn in another one is forgotten
        ground = self.background_colors
        frame = (self.styles.border_left, self.styles.border_right, ground, width)
        if frame != self._frame:
            [line] = super().render_lines(Region(0, inside[-1], width, 1))
            self._frame, self._edges = frame, (line.crop(0, gutter.left), line.crop(width - gutter.right))
            self._framed.clear()
        filters, lines = self.get_line_filters(), list[Strip]()
        for y in crop.line_range:
            row = self._row_at(y - gutter.top) if y in inside else None
            if row is None:
                lines += super().render_lines(Region(0, y, width, 1))
            else:
                lines.append(self._in_frame(row, filters, ground[1]))
        return lines if crop.column_span == (0, width) else [line.crop(*crop.column_span) for line in lines]

    def _in_frame(self, row: Row, filters: Sequence[LineFilter], ground: Color) -> Strip:
        look = self._look(row)
        line = self._framed.get(look)
        if line is None:
            left, right = self._edges
            line = Strip.join((left, self._row_strip(row), right))
            for each in filters:
                line = line.apply_filter(each, ground)
            self._framed[look] = line
        return line

    def notify_style_update(self) -> None:
        """Forget strips drawn in other colours. Those of the focus are told apart anyway: it comes and goes."""
        super().notify_style_update()
        colours = (self.app.theme, self.visual_style)
        if colours != self._colours:
            self._colours = colours
            self._styles.clear()
            self._forget_drawn()

    def watch_show_header(self) -> None:
        """Titles count in the widths of columns."""
        self._content_widths = None
        self._redraw()

    def watch_placeholder(self) -> None:
        """The placeholder is drawn only where there are no rows."""
        if not self._rows:
            self._redraw()

    def watch_highlight(self, highlight: str) -> None:
        """Every row may have something to mark."""
        self._pattern = re.compile(re.escape(highlight), re.IGNORECASE) if highlight else None
        self.refresh()


def _joined(runs: Sequence[Run]) -> list[Run]:
    """The same with gaps as parts of what is before them, which look the same: each piece less is less work."""
    joined: list[Run] = []
    for text, tones in runs:
        if joined and (not text or text.isspace()) and "highlight" not in joined[-1][1]:
            joined[-1] = (joined[-1][0] + text, joined[-1][1])
        elif text:
            joined.append((text, tones))
    return joined
