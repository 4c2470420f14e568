"""Where a reader of a log is: a line, and a row of it where lines are folded. Plain arithmetic.

Places are indexes into the lines shown and rows within a line. Only lines near the place are ever measured, so it does
not matter how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class RowPosition(NamedTuple):
    """A row on the screen: which of the lines shown it belongs to, and which of its rows it is."""

    line: int
    row: int = 0


Height = Callable[[int], int]
"""How many rows the line at an index takes; 1 or more."""


def bottom(count: int, room: int, height: Height) -> RowPosition:
    """The topmost row when the last one of all stands at the bottom of `room` rows."""
    index = count
    while index > 0 and room > 0:
        index -= 1
        rows = height(index)
        if rows >= room:
            return RowPosition(index, rows - room)
        room -= rows
    return RowPosition(index)


def move_by(top: RowPosition, by: int, count: int, height: Height) -> RowPosition:
    """`top` so many rows further down (or up, if less than none), within what there is."""
    index, row = top
    row += by
    while row < 0 and index > 0:
        index -= 1
        row += height(index)
    while index < count and row >= (rows := height(index)):
        if index == count - 1:
            return RowPosition(index, rows - 1)
        index, row = index + 1, row - rows
    return RowPosition(index, max(row, 0))


def visible(top: RowPosition, room: int, count: int, height: Height) -> list[RowPosition]:
    """The rows on the screen, from the top."""
    result: list[RowPosition] = []
    index, row = top
    while index < count and len(result) < room:
        stop = min(height(index), row + room - len(result))
        result += [RowPosition(index, at) for at in range(row, stop)]
        index, row = index + 1, 0
    return result
