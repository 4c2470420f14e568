"""Position of a reader in a log: at the end, which is followed, or at a line that stays in place."""

from __future__ import annotations

from collections.abc import Callable

from relay_tui.ui.log.model import position
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.matches import AllLines, Lines
from relay_tui.ui.log.model.position import RowPosition


def _no_rows() -> int:
    return 0


class LogViewport:
    """The part of a log that a screen of some rows shows. Arithmetic only; knows no widget.

    A reader who does not follow the end is held at an absolute line number, so lines that are trimmed or added do not
    move the reader. `height` returns the rows of the line with a number. `partial_rows` returns the rows of the partial
    lines below the last line.
    """

    def __init__(
        self, buffer: LogBuffer, height: Callable[[int], int], partial_rows: Callable[[], int] = _no_rows
    ) -> None:
        self.lines: Lines = AllLines(buffer)
        """The lines that are shown: all, or those that a filter accepts."""
        self.following = True
        """Whether new lines scroll into sight."""
        self.left = 0
        """Columns hidden at the left."""
        self._buffer = buffer
        self._height = height
        self._partial_rows = partial_rows
        self._held: tuple[int, int] = (0, 0)  # number of the topmost line and its topmost row, unless following
        self._at_start = False  # whether to stay at the first line while older lines are loaded before it
        self._left_end_at = 0  # number of the first line that arrived since the end was left
        self._visible: tuple[int, list[RowPosition]] | None = None  # for a number of rows, until a change

    # --- reading ---

    @property
    def held_line(self) -> int | None:
        """The absolute number of the topmost line, shown or not; None while following."""
        return None if self.following else self._held[0]

    @property
    def lines_above(self) -> int:
        """The number of lines above the topmost one, unless following."""
        return self.lines.index(self._held[0])

    @property
    def new_lines_below(self) -> int:
        """The number of lines that arrived since the end was left; 0 while following."""
        return 0 if self.following else self.lines.since(self._left_end_at)

    def top(self, rows: int) -> RowPosition:
        """Return the topmost of `rows` rows."""
        last = self.last_top(rows)
        if self.following:
            return last
        lines = self.lines
        number, row = self._held
        index = lines.index(number)
        is_shown = index < len(lines) and lines.at(index) == number
        return min(RowPosition(index, min(row, self._height(number) - 1) if is_shown else 0), last)

    def last_top(self, rows: int) -> RowPosition:
        """Return the topmost of `rows` rows when the end of the log is at the bottom."""
        room = rows - min(self._partial_rows(), max(0, rows - 1))
        return position.bottom(len(self.lines), room, self._height_at)

    def visible(self, rows: int) -> list[RowPosition]:
        """Return the positions of the visible rows, `rows` at most. Cached until the next change."""
        cached = self._visible
        if cached is None or cached[0] != rows:
            found = position.visible(self.top(rows), rows, len(self.lines), self._height_at)
            cached = self._visible = rows, found
        return cached[1]

    def visible_lines(self, rows: int) -> list[tuple[int, int]]:
        """Return the visible rows as absolute line numbers and rows within these lines."""
        at = self.lines.at
        return [(at(line), row) for line, row in self.visible(rows)]

    def number_below(self, rows: int) -> int:
        """Return the absolute number of the line below the last visible one."""
        found = self.visible(rows)
        return self.lines.at(found[-1].line) + 1 if found else self._buffer.end

    # --- moving ---

    def invalidate(self) -> None:
        """Compute the visible rows again: lines, their heights or their number have changed."""
        self._visible = None

    def show(self, lines: Lines) -> None:
        """Show other lines of the same buffer. The reader stays at the same line, shown or not."""
        self.lines = lines
        self._visible = None

    def move(self, by: int, rows: int) -> None:
        """Move `by` rows down, or up if negative. At the end, follow."""
        last = self.last_top(rows)
        wanted = position.move_by(self.top(rows), by, len(self.lines), self._height_at)
        if wanted >= last:
            self.to_end()
        else:
            self._hold(wanted)

    def to_end(self) -> None:
        """Go to the end and follow it."""
        self.following, self._at_start = True, False
        self._visible = None

    def to_start(self, rows: int) -> None:
        """Go to the first line, and stay at the first line while older lines are loaded."""
        self.hold(RowPosition(0), rows)
        self._at_start = True

    def hold(self, top: RowPosition, rows: int) -> None:
        """Make `top` the topmost of `rows` rows, or the last that leaves no empty row below. Stop following."""
        self._hold(min(top, self.last_top(rows)))

    def pause(self, rows: int) -> None:
        """Stop following and stay at the visible lines."""
        self._hold(self.top(rows))

    def reveal(self, row: RowPosition, rows: int) -> None:
        """Bring a row into sight, a third down the screen unless it is visible already. Stop following."""
        if row in self.visible(rows):
            self.pause(rows)
        else:
            self.hold(position.move_by(row, -rows // 3, len(self.lines), self._height_at), rows)

    def older_lines_added(self) -> None:
        """Go to the new first line if the reader asked for the start of the log."""
        if self._at_start:
            self._held = (self._buffer.first, 0)
        self._visible = None

    def to_line_start(self) -> None:
        """Show the first row and the first column of the topmost line."""
        self.left = 0
        self._held = (self._held[0], 0)
        self._visible = None

    def move_sideways(self, by: int, most: int) -> None:
        """Move `by` columns to the right, or left if negative; at most `most` columns are hidden."""
        self.left = max(0, min(self.left + by, most))

    def pan(self, begin: int, end: int, columns: int, most: int) -> None:
        """Bring the cells from `begin` to `end` of a line into sight.

        Shows the line from its start if the cells fit into `columns`, else the cells with their surroundings.
        """
        if begin < self.left or end > self.left + columns:
            self.move_sideways((0 if end <= columns else begin - columns // 3) - self.left, most)

    def _hold(self, top: RowPosition) -> None:
        self._at_start = False
        if self.following:
            self._left_end_at = self._buffer.end
        if len(self.lines):
            self._held = (self.lines.at(top.line), top.row)
        self.following = False
        self._visible = None

    def _height_at(self, index: int) -> int:
        return self._height(self.lines.at(index))
