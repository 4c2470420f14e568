"""Rows of the visible region of a log."""

from __future__ import annotations

from textual.strip import Strip

from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.renderer import LineRenderer
from relay_tui.ui.log.search import LogSearch
from relay_tui.ui.log.viewport import LogViewport


class LogCanvas:
    """Puts the visible region together from rendered lines. Reads the other parts, changes none of them."""

    def __init__(self, buffer: LogBuffer, viewport: LogViewport, search: LogSearch, renderer: LineRenderer) -> None:
        self._buffer = buffer
        self._viewport = viewport
        self._search = search
        self._renderer = renderer

    def rows(self, height: int, *, placeholder: str = "", new_lines: int = 0) -> list[Strip]:
        """Return the `height` rows of the visible region.

        `placeholder` is shown if there are no lines and no filter, `new_lines` at the end of the last row unless 0.
        """
        renderer, viewport, search = self._renderer, self._viewport, self._search
        positions = viewport.visible(height)
        has_partial = bool(self._buffer.partial_line)
        if not positions and not has_partial and search.filter is None:
            return renderer.placeholder(placeholder, height)
        number_at, row = viewport.lines.at, renderer.row
        current = None if search.pattern is None else search.current
        rows: list[Strip] = []
        for index, at in positions:
            number = number_at(index)
            rows.append(row(number, at, number == current))
        room = height - len(rows)
        if room > 0 and has_partial:
            partial = renderer.partial_rows(search.partial_lines())
            rows += partial[-room:] if viewport.following else partial[:room]
        rows += [renderer.blank_row()] * (height - len(rows))
        if new_lines and rows:
            rows[-1] = renderer.with_new_lines(rows[-1], new_lines)
        return rows
