"""Table that keeps its cursor and its scroll position by row key while rows are added, removed and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size, clamp
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style as VisualStyle

from relay_tui.ui.presentation.columns import Cell, Column, Row, cell
from relay_tui.ui.presentation.formatting import ASCII, UNICODE, Tone
from relay_tui.ui.widgets import scrolling
from relay_tui.ui.widgets.table.cursor import TableCursor
from relay_tui.ui.widgets.table.renderer import TableRenderer
from relay_tui.ui.widgets.titled_border import TitledBorder

__all__ = ["Cell", "Column", "KeyedTable", "Row", "Tone", "cell"]


class KeyedTable(TitledBorder, ScrollView, can_focus=True, inherit_bindings=False):
    """Table of an immutable tuple of rows. The caller filters and sorts them.

    The colours are chosen so that the tones stay different when a terminal with 16 colours shows the nearest ones.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "cursor_down", "Down", show=False, id="table.down"),
        Binding("k,up", "cursor_up", "Up", show=False, id="table.up"),
        Binding("g,home", "cursor_first", "First", show=False, id="table.first"),
        Binding("G,end", "cursor_last", "Last", show=False, id="table.last"),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False, id="table.page_down"),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False, id="table.page_up"),
        Binding("ctrl+d", "half_page_down", "Half a page down", show=False, id="table.half_page_down"),
        Binding("ctrl+u", "half_page_up", "Half a page up", show=False, id="table.half_page_up"),
        Binding("enter", "choose", "Choose", show=False, id="table.choose"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "keyed-table--accent",
        "keyed-table--bad",
        "keyed-table--bold",
        "keyed-table--busy",
        "keyed-table--cursor",
        "keyed-table--dim",
        "keyed-table--good",
        "keyed-table--header",
        "keyed-table--highlight",
        "keyed-table--marker",
    }
    DEFAULT_CSS = """
    KeyedTable {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & > .keyed-table--header { color: $text-muted; text-style: bold; }
        & > .keyed-table--marker { color: $primary; }
        & > .keyed-table--dim { color: $text-muted; }
        & > .keyed-table--good { color: $success; }
        & > .keyed-table--busy { color: $text-warning; }
        & > .keyed-table--bad { color: $error-lighten-2; }
        & > .keyed-table--accent { color: $primary-lighten-1; }
        & > .keyed-table--bold { text-style: bold; }
        & > .keyed-table--highlight { color: $text-accent; text-style: bold underline; }
        &:light {
            & > .keyed-table--good { color: $text-success; }
            & > .keyed-table--bad { color: $text-error; }
            & > .keyed-table--accent { color: $text-primary; }
        }
        & > .keyed-table--cursor { background: $block-cursor-blurred-background; }
        &:focus > .keyed-table--cursor {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
    }
    """

    show_header: reactive[bool] = reactive(True)
    """Whether the titles of the columns are drawn above the rows."""
    placeholder: reactive[str] = reactive("")
    """Text, wrapped, that is shown if there are no rows."""
    highlight: reactive[str] = reactive("")
    """Text whose occurrences in cells are marked, in any case."""

    class CursorMoved(Message):
        """Message: another key is under the cursor, for any reason; None if there are no rows."""

        def __init__(self, table: KeyedTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> KeyedTable:
            """The table, so that `@on` can select by it."""
            return self.table

        def can_replace(self, message: Message) -> bool:
            """Only the latest position matters: a held key does not queue up work."""
            return isinstance(message, KeyedTable.CursorMoved) and message.table is self.table

    class RowChosen(Message):
        """Message: Enter was pressed on the row under the cursor, or the row was clicked."""

        def __init__(self, table: KeyedTable, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> KeyedTable:
            """The table, so that `@on` can select by it."""
            return self.table

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
        self._cursor = TableCursor()
        self._renderer = TableRenderer(columns, self._cursor, ASCII if ascii else UNICODE, self._component_style)
        self._renderer.show_header, self._renderer.placeholder = show_header, placeholder
        self._border_look: object = None  # what the edges of the lines were drawn for
        self._colours: tuple[str, VisualStyle] | None = None
        self._last_page = 0
        self._chose_on_first_click = False
        scrolling.keep_vertical_scrollbar(self)
        self.set_reactive(KeyedTable.show_header, show_header)
        self.set_reactive(KeyedTable.placeholder, placeholder)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that were set last."""
        return self._renderer.rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that were set last, including those there is no room for."""
        return self._renderer.columns

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor; None if there are no rows."""
        return self._cursor.key

    @property
    def visible_rows(self) -> tuple[Row, ...]:
        """The rows that are on the screen."""
        return self._rows_from(self.scroll_offset.y)

    @property
    def visible_keys(self) -> tuple[str, ...]:
        """Keys of the rows that are on the screen."""
        return tuple(row.key for row in self.visible_rows)

    # --- rows and columns ---

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns."""
        if tuple(columns) != self._renderer.columns:
            self._renderer.set_columns(columns)
            self._redraw()

    def set_rows(self, rows: Sequence[Row], *, all_of_them: bool = False) -> None:
        """Show `rows` in their order. The cursor stays on its key and, where possible, on its screen line.

        If the cursor's row was removed, the cursor moves to the row that took its place, else to the last one. Columns
        stay wide enough for rows that a filter hides. With `all_of_them`, rows that are missing were removed, and
        columns may become narrower. Raises ValueError if two rows have one key.
        """
        renderer, cursor = self._renderer, self._cursor
        new = tuple(rows)
        index = {row.key: position for position, row in enumerate(new)}
        if len(index) != len(new):
            raise ValueError("two rows have one key")
        old, old_index = renderer.rows, cursor.index
        changed = [
            row
            for row in new
            if (position := old_index.get(row.key)) is None or (old[position] is not row and old[position] != row)
        ]
        if list(index) == list(old_index):
            if changed:
                renderer.rows = new
                self._redraw_rows(changed)
            return
        if old and new and (index.keys().isdisjoint(old_index) or (all_of_them and old_index.keys() - index.keys())):
            renderer.measure_again()
        before, key = self._rows_from(self.scroll_offset.y), cursor.key
        page = max(0, self.content_size.height - int(self.show_header))  # a placeholder hides the titles meanwhile
        top = cursor.after_update(old_index, index, self.scroll_offset.y, page)
        renderer.rows = new
        self._fit_height()
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)
        moved = cursor.key != key
        if moved:
            self.post_message(self.CursorMoved(self, cursor.key))
        if renderer.widen(changed) or moved or before != self._rows_from(top):
            self._redraw()

    def update_rows(self, changed: Sequence[Row]) -> None:
        """Replace the rows that have the keys of `changed`, each in its place."""
        if not changed:
            return
        rows = list(self._renderer.rows)
        for row in changed:
            rows[self._cursor.index[row.key]] = row
        self._renderer.rows = tuple(rows)
        self._redraw_rows(changed)

    # --- cursor ---

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row `key` and scroll to it. Return False if there is no such row."""
        previous = self._cursor.key
        if not self._cursor.move_to(key):
            return False
        if key != previous:
            self.post_message(self.CursorMoved(self, key))
            self._refresh_rows([name for name in (previous, key) if name is not None])
        self._scroll_to_cursor()
        return True

    def _move_by(self, count: int) -> None:
        """Move the cursor `count` rows, as far as there are rows."""
        position, rows = self._cursor.position, self._renderer.rows
        if position is not None:
            self.move_to(rows[clamp(position + count, 0, len(rows) - 1)].key)

    def action_cursor_down(self) -> None:
        """Move to the next row."""
        self._move_by(1)

    def action_cursor_up(self) -> None:
        """Move to the previous row."""
        self._move_by(-1)

    def action_cursor_first(self) -> None:
        """Move to the first row."""
        self._move_by(-len(self._renderer.rows))

    def action_cursor_last(self) -> None:
        """Move to the last row."""
        self._move_by(len(self._renderer.rows))

    def action_page_down(self) -> None:
        """Move a page of rows down."""
        self._move_by(max(1, self._page))

    def action_page_up(self) -> None:
        """Move a page of rows up."""
        self._move_by(-max(1, self._page))

    def action_half_page_down(self) -> None:
        """Move half a page of rows down."""
        self._move_by(max(1, self._page // 2))

    def action_half_page_up(self) -> None:
        """Move half a page of rows up."""
        self._move_by(-max(1, self._page // 2))

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self._cursor.key is not None:
            self.post_message(self.RowChosen(self, self._cursor.key))

    def _scroll_to_cursor(self) -> None:
        """Scroll as little as needed to have the cursor's row on the screen."""
        position, page = self._cursor.position, self._page
        if position is None or not page:
            return
        top = clamp(self.scroll_offset.y, position - page + 1, position)
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """Move to the row under the pointer; choose it if the cursor is there already, once for a double click."""
        offset = event.get_content_offset(self)
        if event.widget is not self or event.button != 1 or offset is None:
            return
        position, header, rows = offset.y + self.scroll_offset.y, self._renderer.header_height, self._renderer.rows
        if offset.y < header or position - header >= len(rows):
            return
        event.stop()
        key = rows[position - header].key
        chooses = key == self._cursor.key and not (event.chain > 1 and self._chose_on_first_click)
        self.move_to(key)
        if chooses:
            self.action_choose()
        self._chose_on_first_click = chooses

    # --- drawing ---

    @property
    def _page(self) -> int:
        """Number of rows that fit on the screen."""
        return max(0, self.content_size.height - self._renderer.header_height)

    def _rows_from(self, top: int) -> tuple[Row, ...]:
        """Return the rows on the screen when scrolled to `top`."""
        return self._renderer.rows[top : top + self._page]

    def _redraw_rows(self, changed: Sequence[Row]) -> None:
        """Redraw rows in their places, or everything if a column has to grow for them."""
        if self._renderer.widen(changed):
            self._redraw()
        else:
            self._refresh_rows([row.key for row in changed])

    def _refresh_rows(self, keys: Sequence[str]) -> None:
        """Redraw those of the rows that are on the screen."""
        header, index = self._renderer.header_height, self._cursor.index
        first = header - self.scroll_offset.y
        width, height = self.content_size
        lines = {index[key] + first for key in keys if key in index}
        regions = [Region(0, y, width, 1) for y in lines if header <= y < height]
        if regions:
            self.refresh(*regions)

    def _redraw(self) -> None:
        """Redraw everything."""
        self._fit_height()
        self.refresh()

    def _fit_height(self) -> None:
        """Set the scrollable height to the number of lines."""
        size = Size(0, len(self._renderer.rows) + self._renderer.header_height)
        if not self.size:
            self.virtual_size = size
        elif size != self.virtual_size:
            scrolling.set_virtual_size(self, size)

    def _prepare(self) -> TableRenderer:
        """Return the renderer, set to the present size, scroll position and focus."""
        self._renderer.set_view(self.content_size.width, self.scroll_offset.y, focused=self.has_focus)
        return self._renderer

    def render_line(self, y: int) -> Strip:
        """Return line `y` of the content."""
        return self._prepare().line(y)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of `crop` with the border. Each row is joined with its edges once while both look the same.

        Textual puts the border around every line each time that it is drawn.
        """
        gutter, width = self.styles.gutter, self.outer_size.width
        inside = range(gutter.top, gutter.top + self.content_size.height)
        if self.opacity != 1 or self.styles.tint.a or any(self.styles.padding) or not inside:
            return super().render_lines(crop)
        renderer, colours = self._prepare(), self.background_colors
        look = (self.styles.border_left, self.styles.border_right, colours, width)
        if look != self._border_look:
            [line] = super().render_lines(Region(0, inside[-1], width, 1))
            self._border_look = look
            renderer.set_edges(line.crop(0, gutter.left), line.crop(width - gutter.right))
        filters, lines = self.get_line_filters(), list[Strip]()
        for y in crop.line_range:
            row = renderer.row_at(y - gutter.top) if y in inside else None
            if row is None:
                lines += super().render_lines(Region(0, y, width, 1))
            else:
                lines.append(renderer.bordered_line(row, filters, colours[1]))
        return lines if crop.column_span == (0, width) else [line.crop(*crop.column_span) for line in lines]

    def _component_style(self, *names: str) -> Style:
        return self.get_visual_style(*(f"keyed-table--{name}" for name in names)).rich_style

    def notify_style_update(self) -> None:
        """Drop lines that were drawn in other colours. Those of the focus have their own place in the cache."""
        super().notify_style_update()
        colours = (self.app.theme, self.visual_style)
        if colours != self._colours:
            self._colours = colours
            self._renderer.forget_styles()

    def watch_show_header(self, show_header: bool) -> None:
        """Measure the columns again: titles count in their widths."""
        self._renderer.show_header = show_header
        self._renderer.measure_again()
        self._redraw()

    def watch_placeholder(self, placeholder: str) -> None:
        """Redraw if there are no rows."""
        self._renderer.placeholder = placeholder
        if not self._renderer.rows:
            self._redraw()

    def watch_highlight(self, highlight: str) -> None:
        """Redraw all rows: each may have a match."""
        self._renderer.set_highlight(highlight)
        self.refresh()

    def on_mount(self) -> None:
        """Draw rows that were set before there was a screen."""
        self._redraw()

    def on_resize(self) -> None:
        """Keep the cursor on the screen if it was there."""
        position, top = self._cursor.position, self.scroll_offset.y
        if position is not None and (not self._last_page or top <= position < top + self._last_page):
            self._scroll_to_cursor()
        self._last_page = self._page
