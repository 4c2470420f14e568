"""Panes with a title and a subtitle in their frame."""

from __future__ import annotations

from typing import Self

from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


class TitledBorder(Widget):
    """Widget whose titles are changed by drawing one line of the frame, not all of its content."""

    _edge: int | None = None  # the only line to be drawn; None: all that changed

    def set_title(self, words: Content) -> None:
        """Set the title in the upper line of the frame."""
        self._edge = 0
        try:
            self.border_title = words
        finally:
            self._edge = None

    def set_subtitle(self, words: Content) -> None:
        """Set the subtitle in the lower line of the frame."""
        self._edge = self.outer_size.height - 1
        try:
            self.border_subtitle = words
        finally:
            self._edge = None

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Redraw `regions`, or only the line of the frame that is being changed."""
        if self._edge is not None:
            line = Region(0, self._edge, self.outer_size.width, 1)
            regions = (line.translate(-self.content_offset),)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class TitledContainer(TitledBorder, Vertical):
    """Widgets one below the other, in a frame."""
