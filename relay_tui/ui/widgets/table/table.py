"""A table that keeps its cursor and its scroll position by the key of a row, whatever comes, goes or is re-sorted."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.geometry import clamp

from relay_tui.ui.presentation.columns import Cell, Column, Row, Tone, cell
from relay_tui.ui.widgets.table.cursor import cursor_after_update
from relay_tui.ui.widgets.table.renderer import TableRenderer

__all__ = ["Cell", "Column", "KeyedTable", "Row", "Tone", "cell"]


class KeyedTable(TableRenderer, can_focus=True):
    """Shows an immutable tuple of rows; the caller filters and sorts them."""

    _last_cursor: str | None = None
    _seen_page = 0
    _chose_on_first_click = False

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor, None without rows."""
        return self._cursor

    @property
    def visible_rows(self) -> tuple[Row, ...]:
        """The rows that are on the screen."""
        return self._window(self.scroll_offset.y)

    @property
    def visible_keys(self) -> tuple[str, ...]:
        """Their keys."""
        return tuple(row.key for row in self.visible_rows)

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns. Their widths are measured anew."""
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._content_widths = None
            self._redraw()

    def set_rows(self, rows: Sequence[Row], *, all_of_them: bool = False) -> None:
        """Show `rows` in their order. The cursor stays on its key and, where possible, on its screen line.

        A cursor whose row is gone goes to the row that took its place, else to the last one. Columns stay as wide as
        they are for those that a filter hides; where these are `all_of_them`, what is missing is gone for good.
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
        if old and new and (index.keys().isdisjoint(old_index) or (all_of_them and old_index.keys() - index.keys())):
            self._content_widths = None
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
            return cursor_after_update(list(self._index), index, self._cursor, self.scroll_offset.y, self._page)
        if not index:
            return None, 0
        key = self._last_cursor if self._last_cursor in index else next(iter(index))
        page = self.content_size.height - int(self.show_header)  # beside the titles that come back with the rows
        return key, max(0, index[key] - page + 1) if page > 0 else 0

    def _set_cursor(self, key: str | None) -> None:
        """Remember the cursor's key and announce it if it is another one."""
        if key != self._cursor:
            self._last_cursor = self._cursor if key is None else key
            self._cursor = key
            self.post_message(self.CursorMoved(self, key))

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
