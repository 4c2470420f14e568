"""A line to type in. It lies over the key bar, which shows through while nobody types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Input

if TYPE_CHECKING:
    from textual import events
    from textual.geometry import Region
    from textual.strip import Strip

    from relay_tui.ui.widgets.key_bar import KeyBar


class OverlayInput(Input):
    """Opens and closes by being drawn anew: to swap two widgets would lay out the whole screen."""

    DEFAULT_CSS = """
    OverlayInput {
        layer: line;
        dock: bottom;
        height: 1;
        border: none;
        background: $panel;
        background-tint: $foreground 5%;
    }
    OverlayInput.-textual-compact { padding: 0 1; }
    """

    virtual_size = Reactive(Size(0, 0))
    """How far the text goes. It may scroll; it takes no other room for it, so no letter lays out the screen."""

    def __init__(self, under: KeyBar | OverlayInput, *, id: str, placeholder: str = "") -> None:  # noqa: A002
        """`under` is what shows through: the key bar, or another such line over it."""
        super().__init__(id=id, placeholder=placeholder, compact=True)
        self._under = under
        self.can_focus = False

    @property
    def is_open(self) -> bool:
        """Whether it takes what is typed."""
        return self.can_focus

    def show(self, shown: bool) -> None:
        """Open or close."""
        if shown != self.can_focus:
            self.can_focus = shown
            self.refresh()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """It looks the same with the focus: open, it has it."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Itself, or what is under it."""
        return super().render_lines(crop) if self.is_open else self._under.render_lines(crop)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A closed line has nothing to point at."""
        if not self.is_open:
            event.prevent_default()

    async def on_click(self, event: events.Click) -> None:
        """A click on a key is the key bar's."""
        if not self.is_open:
            await self._under.on_click(event)


class FilterInput(OverlayInput):
    """What rows must contain."""

    def __init__(self, keys: KeyBar) -> None:
        super().__init__(keys, id="filter", placeholder="show only what contains")
