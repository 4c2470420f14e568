"""Layout actions: move between panes and tabs, show one pane alone."""

from __future__ import annotations

from collections.abc import Mapping

from relay_tui.ui.controllers.base import Controller
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.selection import PANES


class LayoutController(Controller):
    """Moves the focus between panes, and shows the focused pane alone while zoomed."""

    _zoomed = ""  # the pane that is shown alone; '': all are shown

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        return {
            "next_pane": Handler(lambda: self.move_focus(1)),
            "previous_pane": Handler(lambda: self.move_focus(-1)),
            "next_tab": Handler(lambda: self.context.view.detail.turn(1)),
            "previous_tab": Handler(lambda: self.context.view.detail.turn(-1)),
            "zoom": Handler(self.toggle_zoom),
            "log_full": Handler(self.toggle_zoom),
        }

    def move_focus(self, step: int) -> None:
        """Focus the pane `step` panes to the right. A zoomed view shows that pane instead."""
        index = max(0, min(len(PANES) - 1, PANES.index(self.context.selection.pane) + step))
        if self._zoomed:
            self._zoom(PANES[index])
        self.context.view.focus_pane(PANES[index])

    def toggle_zoom(self) -> None:
        """Show the focused pane alone, or all panes again."""
        self._zoom("" if self._zoomed else self.context.selection.pane)

    def close_zoom(self) -> bool:
        """Show all panes again. Return False if they were shown already."""
        zoomed = bool(self._zoomed)
        if zoomed:
            self._zoom("")
        return zoomed

    def _zoom(self, pane: str) -> None:
        self._zoomed = pane
        self.context.view.show_zoomed(pane)
