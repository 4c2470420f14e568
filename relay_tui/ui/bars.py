"""The two lines that frame the screen: status above, keys below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from relay_tui.text import clean
from relay_tui.ui.actions import Action, key_words
from relay_tui.ui.present import Glyphs, counts, engine_words, processes_words

if TYPE_CHECKING:
    from textual import events

    from relay_tui.ui.columns import Tone
    from relay_tui.ui.world import World

TONES: dict[Tone, str] = {
    "": "",
    "dim": "$foreground-muted",
    "good": "$success",
    "busy": "$text-warning",
    "bad": "$error-lighten-2",
    "accent": "$primary-lighten-1",
    "bold": "bold",
}


class StatusLine(Static):
    """Who we are, whether the engine answers, how many there are of what."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="status", markup=False)
        self._glyphs = glyphs
        self._world: World | None = None
        self._line = Content("")

    def show(self, world: World) -> None:
        """Draw the counts at the left, the engine at the right."""
        self._world = world
        self._draw(world)

    def on_resize(self, _: events.Resize) -> None:
        """Keep the engine at the right end."""
        if self._world is not None:
            self._draw(self._world)

    def _draw(self, world: World) -> None:
        words, tone = engine_words(world, self._glyphs)
        others = processes_words(world.processes, self._glyphs)
        spans: list[tuple[str, Tone]] = []
        for count in counts(world):
            spans += [(f" {self._glyphs.dot} ", "dim"), count]
        left = Content.assemble((" relay  ", "bold $primary-lighten-1"), *((text, TONES[t]) for text, t in spans[1:]))
        if world.unsaved is not None:
            left = Content.assemble(left, (f" {self._glyphs.dot} {clean(world.unsaved.title)}", "$error-lighten-2"))
        if world.trouble is not None:
            left = Content.assemble((" relay  ", "bold"), (world.trouble.title, "$error-lighten-2"))
        room = max(0, self.size.width or self.app.size.width)
        if world.engine.state == "up" and left.cell_length + cell_len(words) + 2 > room:
            words = words.partition(" at ")[0]  # its address is the first to go; Info has it
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


class KeyBar(Static):
    """The keys that mean something now, as many as fit, in their order of use; help always."""

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="keys", markup=False)
        self._ascii_only = ascii_only
        self._offered: tuple[Action, ...] = ()
        self._fitting: tuple[Action, ...] = ()

    def offer(self, actions: Sequence[Action]) -> None:
        """Show these keys."""
        if tuple(actions) != self._offered:
            self._offered = tuple(actions)
            self._draw()

    def on_resize(self, _: events.Resize) -> None:
        """Fit the keys to the new width."""
        self._draw()

    def _draw(self) -> None:
        room = self.size.width - 1
        fitting: set[str] = set()
        for action in sorted(self._offered, key=lambda action: -action.footer):
            width = self._width(action)
            if width <= room:
                fitting.add(action.name)
                room -= width
        self._fitting = tuple(action for action in self._offered if action.name in fitting)
        spans = [((f" {self._key(a)} ", "bold $primary-lighten-1"), (f"{a.label} ", "")) for a in self._fitting]
        self.update(Content.assemble(*(span for pair in spans for span in pair)), layout=False)

    def _width(self, action: Action) -> int:
        return cell_len(self._key(action)) + cell_len(action.label) + 3

    async def on_click(self, click: events.Click) -> None:
        """A click on a key is the key."""
        start = 0
        for action in self._fitting:
            start += self._width(action)
            if click.x < start:
                await self.run_action(f"screen.{action.name}")
                return

    def _key(self, action: Action) -> str:
        return key_words(action, ascii_only=self._ascii_only).split(" ")[0]
