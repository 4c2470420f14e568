"""A table that keeps its cursor and its scroll position by the key of a row, whatever comes, goes or is re-sorted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region, Size, clamp
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.widget import Widget

from relay_tui.ui.columns import (
    ASCII,
    UNICODE,
    Cell,
    Column,
    Glyphs,
    Layout,
    Row,
    Run,
    Tone,
    cell,
    header_runs,
    lay_out,
    row_runs,
    widest,
)
from relay_tui.ui.framed import Framed
from relay_tui.ui.row_cursor import RowCursor
from relay_tui.ui.row_follow import follow

__all__ = ["Cell", "Column", "Row", "RowTable", "Tone", "cell"]

_GUTTER = 2
"""Cells before the first column: the cursor's marker and a space."""
_MARGIN = 2
"""Cells after the last column: a space, and where the scrollbar is drawn, so that nothing moves when it appears."""


class RowTable(Framed, RowCursor, can_focus=True):
    """Draws an immutable tuple of rows; the caller filters and sorts them.

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
    RowTable {
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
        self._last_cursor: str | None = None
        self._content_widths: list[int] | None = None
        self._measured: dict[str, Row] = {}
        self._row_layout = Layout()
        self._seen_page = 0
        self._pattern: re.Pattern[str] | None = None
        self._drawn: LRUCache[tuple[Row, bool, bool], Strip] = LRUCache(512)
        self._styles: dict[tuple[tuple[str, ...], bool], Style] = {}
        self._colours: tuple[str, VisualStyle] | None = None
        self._chose_on_first_click = False
        self.set_reactive(Widget.show_vertical_scrollbar, True)  # it never goes: that would lay out the screen
        self.set_reactive(RowTable.show_header, show_header)
        self.set_reactive(RowTable.placeholder, placeholder)

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor, None without rows."""
        return self._cursor

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as they were set last."""
        return self._rows

    @property
    def visible_keys(self) -> tuple[str, ...]:
        """The keys of the rows that are on the screen."""
        return tuple(row.key for row in self._window(self.scroll_offset.y))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns as they were set last, whether there is room for them or not."""
        return self._columns

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns. Their widths are measured anew."""
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._content_widths = None
            self._redraw()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show `rows` in their order. The cursor stays on its key and, where possible, on its screen line.

        A cursor whose row is gone goes to the row that took its place, else to the last one.
        Raises ValueError if two rows have one key.
        """
        new = tuple(rows)
        index = {row.key: at for at, row in enumerate(new)}
        if len(index) != len(new):
            raise ValueError("two rows have one key")
        old, old_index = self._rows, self._index
        fresh = [
            row for row in new if (at := old_index.get(row.key)) is None or (old[at] is not row and old[at] != row)
        ]
        if list(index) == list(old_index):
            if fresh:
                self._rows = new
                self._redraw_rows(fresh)
            return
        if old and new and index.keys().isdisjoint(old_index):
            self._content_widths = None  # other things than before: nothing on the screen to keep in place
        cursor, top = self._follow(index)
        before = self._window(self.scroll_offset.y)
        self._rows, self._index = new, index
        self._fit_height()
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)
        moved = cursor != self._cursor
        self._set_cursor(cursor)
        if self._grew(fresh) or moved or before != self._window(top):
            self._redraw()

    def renew(self, fresh: Sequence[Row]) -> None:
        """Show some of the rows as they are now, where they are."""
        if not fresh:
            return
        rows = list(self._rows)
        for row in fresh:
            rows[self._index[row.key]] = row
        self._rows = tuple(rows)
        self._redraw_rows(fresh)

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row `key` and scroll to it; False if there is no such row."""
        if key not in self._index:
            return False
        if key != self._cursor:
            previous = self._cursor
            self._set_cursor(key)
            self._refresh_rows([name for name in (previous, key) if name is not None])
        self._scroll_to_cursor()
        return True

    # How rows come and go

    def _follow(self, index: dict[str, int]) -> tuple[str | None, int]:
        """The cursor's key among the new rows and the scroll position that keeps the screen still."""
        if self._cursor is not None:
            return follow(list(self._index), index, self._cursor, self.scroll_offset.y, self._page)
        if not index:
            return None, 0
        key = self._last_cursor if self._last_cursor in index else next(iter(index))
        return key, max(0, index[key] - self._page + 1) if self._page else 0

    def _window(self, top: int) -> tuple[Row, ...]:
        """The rows on the screen when scrolled to `top`."""
        return self._rows[top : top + self._page]

    def _set_cursor(self, key: str | None) -> None:
        """Remember the cursor's key and announce it if it is another one."""
        if key != self._cursor:
            self._last_cursor = self._cursor if key is None else key
            self._cursor = key
            self.post_message(self.CursorMoved(self, key))

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
        self._drawn.clear()
        return True

    def _current_layout(self) -> Layout:
        """The layout for the present width. Widths of columns are forgotten when the table gets another width."""
        width = max(0, self.content_size.width - _GUTTER - _MARGIN)
        if self._content_widths is None or width != self._row_layout.width:
            titles = [self._glyphs.length(column.title) if self.show_header else 0 for column in self._columns]
            self._content_widths = widest(self._columns, self._rows, titles, self._glyphs)
            self._measured = {row.key: row for row in self._rows}
            self._lay_out(width)
        return self._row_layout

    # How it is drawn

    def render_line(self, y: int) -> Strip:
        """Line `y` of what is on the screen."""
        header = self._header_height
        if not self._rows and self.placeholder:
            return self._placeholder_line(y)
        if y < header:
            return self._strip(header_runs(self._columns, self._current_layout(), self._glyphs), "header")
        at = y - header + self.scroll_offset.y
        if at >= len(self._rows):
            return self._strip([])
        return self._row_strip(self._rows[at])

    def _row_strip(self, row: Row) -> Strip:
        """A row as it looks now, from the cache if it has been drawn that way before."""
        layout = self._current_layout()
        under_cursor = row.key == self._cursor
        look = (row, under_cursor, under_cursor and self.has_focus)
        strip = self._drawn.get(look)
        if strip is None:
            marker = self._glyphs.marker if under_cursor else " "
            runs: list[Run] = [(marker.ljust(_GUTTER), ("marker",))]
            runs += row_runs(row, self._columns, layout, self._pattern, self._glyphs)
            strip = self._drawn[look] = self._strip(runs, "cursor" if under_cursor else "", gutter=False)
        return strip

    def _strip(self, runs: Sequence[Run], look: str = "", *, gutter: bool = True) -> Strip:
        """Runs as one line over the whole width, `look` giving its background."""
        segments = [Segment(" " * _GUTTER, self._style(look, ()))] if gutter else []
        segments += [Segment(text, self._style(look, tones)) for text, tones in runs if text]
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

    def notify_style_update(self) -> None:
        """Forget strips drawn in other colours. Those of the focus are told apart anyway: it comes and goes."""
        super().notify_style_update()
        colours = (self.app.theme, self.visual_style)
        if colours != self._colours:
            self._colours = colours
            self._styles.clear()
            self._drawn.clear()

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
        self._drawn.clear()
        self.refresh()

    # How it is used

    def _scroll_to_cursor(self) -> None:
        """Scroll as little as needed to have the cursor's row on the screen."""
        page = self._page
        if self._cursor is None or not page:
            return
        at = self._index[self._cursor]
        top = clamp(self.scroll_offset.y, at - page + 1, at)
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """Move to the row under the pointer; choose it if the cursor is there already, once for a double click."""
        offset = event.get_content_offset(self)
        if event.widget is not self or event.button != 1 or offset is None:
            return
        at = offset.y - self._header_height + self.scroll_offset.y
        if offset.y < self._header_height or at >= len(self._rows):
            return
        event.stop()
        key = self._rows[at].key
        chooses = key == self._cursor and not (event.chain > 1 and self._chose_on_first_click)
        self.move_to(key)
        if chooses:
            self.action_choose()
        self._chose_on_first_click = chooses

    def on_mount(self) -> None:
        """Rows may have been set before there was a screen."""
        self._redraw()

    def on_resize(self) -> None:
        """A cursor that was on the screen stays on it."""
        if self._cursor is not None:
            at, top = self._index[self._cursor], self.scroll_offset.y
            if not self._seen_page or top <= at < top + self._seen_page:
                self._scroll_to_cursor()
        self._seen_page = self._page
