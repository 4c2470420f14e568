"""Panes with words in their frame."""

from __future__ import annotations

from typing import Self

from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


class TitledBorder(Widget):
    """Says what it is above and below; to say something else draws that line of the frame, not all that is in it."""

    _edge: int | None = None  # the line that is all there is to draw; None: not so

    def say_above(self, words: Content) -> None:
        """Put words into the upper line of the frame."""
        self._edge = 0
        try:
            self.border_title = words
        finally:
            self._edge = None

    def say_below(self, words: Content) -> None:
        """Put words into the lower line of the frame."""
        self._edge = self.outer_size.height - 1
        try:
            self.border_subtitle = words
        finally:
            self._edge = None

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw anew, from now on or a line of the frame."""
        if self._edge is not None:
            line = Region(0, self._edge, self.outer_size.width, 1)
            regions = (line.translate(-self.content_offset),)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class TitledContainer(TitledBorder, Vertical):
    """One below the other, in a frame."""
