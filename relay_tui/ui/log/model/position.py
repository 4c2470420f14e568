"""Row arithmetic for a log view: positions of rows, where long lines may wrap over several rows.

A position is an index into the visible lines and a row within that line. Only lines near the position are measured, so
the number of lines does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class RowPosition(NamedTuple):
    """Position of one row: the index of its line among the visible lines, and the row within that line."""

    line: int
    row: int = 0


Height = Callable[[int], int]
"""Returns the number of rows, 1 or more, of the line at an index."""


def bottom(count: int, rows: int, height: Height) -> RowPosition:
    """Return the topmost row of `rows` rows that end with the last row of the last line."""
    index = count
    while index > 0 and rows > 0:
        index -= 1
        line_rows = height(index)
        if line_rows >= rows:
            return RowPosition(index, line_rows - rows)
        rows -= line_rows
    return RowPosition(index)


def move_by(top: RowPosition, by: int, count: int, height: Height) -> RowPosition:
    """Return the position `by` rows below `top`, or above it if negative, limited to the rows that exist."""
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


def visible(top: RowPosition, rows: int, count: int, height: Height) -> list[RowPosition]:
    """Return the positions of at most `rows` rows, from `top` down."""
    result: list[RowPosition] = []
    index, row = top
    while index < count and len(result) < rows:
        stop = min(height(index), row + rows - len(result))
        result += [RowPosition(index, at) for at in range(row, stop)]
        index, row = index + 1, 0
    return result
