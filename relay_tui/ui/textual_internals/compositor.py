"""Draws of a screen what is to be drawn anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual._compositor import Compositor
from textual.geometry import Region

if TYPE_CHECKING:
    from textual._compositor import ChopsUpdate
    from textual.strip import Strip
    from textual.widget import Widget


class PartialUpdateCompositor(Compositor):
    """Draws as seldom as it can, and asks a widget for those of its lines that are drawn.

    Textual's draws what of several widgets one key changed in as many drawings. It asks every widget in the smallest
    rectangle around all that is drawn: a line of a list and the key bar below are, for it, all that is between them.
    """

    _parts: tuple[Region, ...] = ()

    def update_widgets(self, widgets: set[Widget]) -> None:
        """Draw these, and with them those that are about to ask for it."""
        super().update_widgets(widgets | {found for found in self.visible_widgets if _waits(found)})

    def render_partial_update(self) -> ChopsUpdate | None:
        """The parts of the screen that changed; None: nothing did."""
        self._parts = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._parts = ()

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Of each widget where it is, what of it is to be seen, and the lines of that."""
        if not self._parts:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            parts = [part for part in self._parts if seen.overlaps(part)]
            if parts:
                top = max(seen.y, min(part.y for part in parts))
                bottom = min(seen.bottom, max(part.bottom for part in parts))
                drawn = Region(seen.x, top, seen.width, bottom - top)
                yield region, drawn, widget.render_lines(drawn.translate(-region.offset))


def _waits(widget: Widget) -> bool:
    return bool(widget._repaint_regions) and not widget._layout_required
