"""The panes with a filter: a line to type in, in place of the key bar, and rows that contain what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.widgets import Input

from relay_tui.ui.main.panes import Panes
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.overlay_input import FilterInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay_tui.ui.widgets.overlay_input import OverlayInput


class FilterController(Panes):
    """Each of the two lists has a filter of its own."""

    _filtering = "sessions"
    _typing = False

    def lines_to_type_in(self) -> Iterator[OverlayInput]:
        """One more, for the filter."""
        yield from super().lines_to_type_in()
        yield FilterInput(self.query_one(KeyBar))

    def open_filter(self) -> None:
        """Type in place of the key bar; the pane that had the focus shows only what matches."""
        self._filtering = self.place if self.place in self._filters else "sessions"
        bar = self.query_one(FilterInput)
        bar.value = self._filters[self._filtering]
        self._show_filter(True)
        self.set_focus(bar)

    def _show_filter(self, shown: bool) -> None:
        self._typing = shown
        self.query_one(FilterInput).show(shown)

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        """Show what matches as it is typed."""
        if self._typing:
            self._filters[self._filtering] = event.value
            (self._draw_projects if self._filtering == "projects" else self._draw_sessions)()

    @on(Input.Submitted, "#filter")
    def filter_done(self) -> None:
        """Keep the filter, go back to the pane."""
        self.close_filter()

    def close_filter(self, *, clear: bool = False) -> bool:
        """Leave the filter's line; `clear` drops the filter. False if there was nothing to leave."""
        place = self._filtering if self._typing else self.place
        was_open = self._typing
        had = bool(self._filters.get(place, ""))
        if clear and place in self._filters:
            self._filters[place] = ""
        self._show_filter(False)
        if was_open:
            self.set_focus(self.query_one(f"#{place}"))
        if clear and had:
            (self._draw_projects if place == "projects" else self._draw_sessions)()
        return was_open or (clear and had)
