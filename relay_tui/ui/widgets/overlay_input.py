"""Input that is drawn over the key bar while it is open."""

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
    """Input that opens and closes by a redraw: swapping two widgets would lay out the whole screen.

    While it is closed, it draws the widget below it.
    """

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
    """Width of the text. Assigning it lays out nothing here: a letter that is typed must not lay out the screen."""

    def __init__(self, under: KeyBar | OverlayInput, *, id: str, placeholder: str = "") -> None:  # noqa: A002
        """`under` is the widget below: the key bar, or another such input."""
        super().__init__(id=id, placeholder=placeholder, compact=True)
        self._under = under
        self.can_focus = False

    @property
    def is_open(self) -> bool:
        """Whether the input is open."""
        return self.can_focus

    def show(self, shown: bool) -> None:
        """Open or close."""
        if shown != self.can_focus:
            self.can_focus = shown
            self.refresh()

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Redraw nothing: an open input always has the focus."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of the input, or those of the widget below while it is closed."""
        return super().render_lines(crop) if self.is_open else self._under.render_lines(crop)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Ignore the mouse while closed."""
        if not self.is_open:
            event.prevent_default()

    async def on_click(self, event: events.Click) -> None:
        """Pass a click to the widget below while closed."""
        if not self.is_open:
            await self._under.on_click(event)


class FilterInput(OverlayInput):
    """Input for the text that rows must contain."""

    def __init__(self, keys: KeyBar) -> None:
        super().__init__(keys, id="filter", placeholder="show only rows that contain")
