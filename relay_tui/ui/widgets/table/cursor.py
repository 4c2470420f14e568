"""A cursor over rows that have keys: how it is moved, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import clamp
from textual.message import Message
from textual.scroll_view import ScrollView

from relay_tui.ui.presentation.columns import Row


class TableCursor(ScrollView, inherit_bindings=False):
    """Moves over the rows of a table, which says what they are and how many of them a page has."""

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

    class CursorMoved(Message, namespace="row_table"):
        """The key under the cursor changed, for whatever reason; None: there are no rows."""

        def __init__(self, table: TableCursor, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> TableCursor:
            """The table, so that `@on` can select by it."""
            return self.table

        def can_replace(self, message: Message) -> bool:
            """Only the latest position matters: a held key does not queue up work."""
            return isinstance(message, TableCursor.CursorMoved) and message.table is self.table

    class RowChosen(Message, namespace="row_table"):
        """The row under the cursor was asked for, by Enter or by a click on it."""

        def __init__(self, table: TableCursor, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> TableCursor:
            """The table, so that `@on` can select by it."""
            return self.table

    _rows: tuple[Row, ...] = ()
    _index: dict[str, int]
    _cursor: str | None = None

    @property
    def _page(self) -> int:
        """How many rows fit on the screen."""
        raise NotImplementedError

    def move_to(self, key: str) -> bool:
        """Put the cursor on the row `key` and scroll to it; False if there is no such row."""
        raise NotImplementedError

    def _move_by(self, count: int) -> None:
        """Move the cursor `count` rows, as far as there are rows."""
        if self._cursor is not None:
            self.move_to(self._rows[clamp(self._index[self._cursor] + count, 0, len(self._rows) - 1)].key)

    def action_cursor_down(self) -> None:
        """To the next row."""
        self._move_by(1)

    def action_cursor_up(self) -> None:
        """To the row before."""
        self._move_by(-1)

    def action_cursor_first(self) -> None:
        """To the first row."""
        self._move_by(-len(self._rows))

    def action_cursor_last(self) -> None:
        """To the last row."""
        self._move_by(len(self._rows))

    def action_page_down(self) -> None:
        """A page of rows down."""
        self._move_by(max(1, self._page))

    def action_page_up(self) -> None:
        """A page of rows up."""
        self._move_by(-max(1, self._page))

    def action_half_page_down(self) -> None:
        """Half a page of rows down."""
        self._move_by(max(1, self._page // 2))

    def action_half_page_up(self) -> None:
        """Half a page of rows up."""
        self._move_by(-max(1, self._page // 2))

    def action_choose(self) -> None:
        """Ask for the row under the cursor."""
        if self._cursor is not None:
            self.post_message(self.RowChosen(self, self._cursor))


def cursor_after_update(
    old: Sequence[str], new: Mapping[str, int], cursor: str, top: int, page: int
) -> tuple[str | None, int]:
    """The cursor's key and the first row on the screen, from `old` keys in order to `new` keys with their positions.

    The cursor stays on its key, else goes to the row that took its place, and keeps its screen line. With the cursor
    scrolled off the screen of `page` rows from `top` on, what is on the screen stays where it is.
    """
    if not new:
        return None, 0
    was = old.index(cursor)
    key = _nearest(old, was, new) or list(new)[min(was, len(new) - 1)]
    shift = new[key] - was
    if not top <= was < top + page:
        anchor = _nearest(old, min(top, len(old) - 1), new)
        shift = 0 if anchor is None else new[anchor] - old.index(anchor)
    return key, clamp(top + shift, 0, max(0, len(new) - page))


def _nearest(keys: Sequence[str], at: int, kept: Mapping[str, int]) -> str | None:
    """The key at `at` if it is among those kept, else the next one below that is, else the next above."""
    for key in (*keys[at:], *reversed(keys[:at])):
        if key in kept:
            return key
    return None
