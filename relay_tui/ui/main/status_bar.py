"""Status bar: counts of projects and sessions, and whether the engine answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation.formatting import TONES, Glyphs
from relay_tui.ui.presentation.status_bar import format_engine, format_processes, state_counts

if TYPE_CHECKING:
    from textual import events

    from relay_tui.ui.presentation.formatting import Tone
    from relay_tui.ui.state import AppState


class StatusBar(Static):
    """First line of the main screen."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="status", markup=False)
        self._glyphs = glyphs
        self._world: AppState | None = None
        self._line = Content("")

    def show(self, world: AppState) -> None:
        """Show the counts on the left and the engine on the right."""
        self._world = world
        self._draw(world)

    def on_resize(self, _: events.Resize) -> None:
        """Keep the engine at the right edge."""
        if self._world is not None:
            self._draw(self._world)

    def _draw(self, world: AppState) -> None:
        words, tone = format_engine(world, self._glyphs)
        others = format_processes(world.processes, self._glyphs)
        spans: list[tuple[str, Tone]] = []
        for count in state_counts(world):
            spans += [(f" {self._glyphs.dot} ", "dim"), count]
        left = Content.assemble((" relay  ", "bold $primary-lighten-1"), *((text, TONES[t]) for text, t in spans[1:]))
        if world.unsaved is not None:
            left = Content.assemble(left, (f" {self._glyphs.dot} {clean(world.unsaved.title)}", "$error-lighten-2"))
        if world.trouble is not None:
            left = Content.assemble((" relay  ", "bold"), (world.trouble.title, "$error-lighten-2"))
        room = max(0, self.size.width or self.app.size.width)
        if world.engine.state == "up" and left.cell_length + cell_len(words) + 2 > room:
            words = words.partition(" at ")[0]  # the address is left out first: Info shows it
        if left.cell_length + cell_len(words) + cell_len(others) + 2 > room:
            others = ""
        right = Content.assemble((words, TONES[tone]), (others, TONES["dim"]))
        if left.cell_length + right.cell_length + 2 > room:
            right = right.truncate(max(12, room - left.cell_length - 2), ellipsis=True)
        gap = max(1, room - left.cell_length - right.cell_length - 1)
        line = Content.assemble(left, " " * gap, right, " ")
        if not line.is_same(self._line):
            self._line = line
            self.update(line, layout=False)
