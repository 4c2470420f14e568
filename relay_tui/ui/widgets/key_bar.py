"""Key bar: the keys that apply now, clickable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from relay_tui.ui.keys.actions import Action, format_keys

if TYPE_CHECKING:
    from textual import events


class KeyBar(Static):
    """The keys that apply now, as many as fit, in the order of their use. Help is always among them."""

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="keys", markup=False)
        self._ascii_only = ascii_only
        self._offered: tuple[Action, ...] = ()
        self._fitting: tuple[Action, ...] = ()

    def offer(self, actions: Sequence[Action]) -> None:
        """Show the keys of `actions`."""
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
        """Run the action whose key was clicked."""
        start = 0
        for action in self._fitting:
            start += self._width(action)
            if click.x < start:
                await self.run_action(f"screen.dispatch('{action.name}')")
                return

    def _key(self, action: Action) -> str:
        return format_keys(action, ascii_only=self._ascii_only).split(" ")[0]
