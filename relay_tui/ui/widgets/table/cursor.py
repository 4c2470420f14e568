"""Cursor of a table whose rows are identified by keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.geometry import clamp


class TableCursor:
    """Key under the cursor and the position of every key. Knows no widget."""

    def __init__(self) -> None:
        self.key: str | None = None
        """Key of the row under the cursor; None if there are no rows."""
        self.index: Mapping[str, int] = {}
        """Position of each row by its key, in the order of the rows."""
        self._last: str | None = None  # the key before all rows were removed

    @property
    def position(self) -> int | None:
        """Position of the row under the cursor; None if there are no rows."""
        return None if self.key is None else self.index[self.key]

    def move_to(self, key: str) -> bool:
        """Move to the row `key`. Return False if there is no such row."""
        if key not in self.index:
            return False
        self.key = key
        return True

    def after_update(self, old: Mapping[str, int], new: Mapping[str, int], top: int, page: int) -> int:
        """Take the positions `new` of rows that had the positions `old`. Return the first row to be shown.

        Before the update, `page` rows from `top` on were shown. The cursor stays on its key and on its screen line.
        If its row was removed, the cursor moves to the row that took its place. If the cursor was scrolled off the
        screen, the rows on the screen stay where they are. After all rows were removed and some are back, the cursor
        returns to the key it had.
        """
        self.index = new
        if self.key is not None:
            self._last = self.key
            self.key, top = _updated(list(old), new, self.key, top, page)
            self._last = self.key or self._last
            return top
        if not new:
            return 0
        key = self._last if self._last is not None and self._last in new else next(iter(new))
        self.key = key
        return max(0, new[key] - page + 1) if page > 0 else 0


def _updated(old: Sequence[str], new: Mapping[str, int], cursor: str, top: int, page: int) -> tuple[str | None, int]:
    """Return the cursor's key and the first row to be shown among the keys `new`."""
    if not new:
        return None, 0
    position = old.index(cursor)
    key = _nearest(old, position, new) or list(new)[min(position, len(new) - 1)]
    shift = new[key] - position
    if not top <= position < top + page:
        anchor = _nearest(old, min(top, len(old) - 1), new)
        shift = 0 if anchor is None else new[anchor] - old.index(anchor)
    return key, clamp(top + shift, 0, max(0, len(new) - page))


def _nearest(keys: Sequence[str], position: int, kept: Mapping[str, int]) -> str | None:
    """Return the key at `position` if it is among `kept`, else the next one below that is, else the next above."""
    for key in (*keys[position:], *reversed(keys[:position])):
        if key in kept:
            return key
    return None
