"""Filter action: show only the rows of a list that contain what the user types."""

from __future__ import annotations

from collections.abc import Mapping

from relay_tui.ui.controllers.base import Controller, ControllerContext
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.overlay_input import FilterInput


class FilterController(Controller):
    """One filter for each of the two lists, typed in place of the key bar."""

    def __init__(self, context: ControllerContext, keys: KeyBar) -> None:
        """`keys` is the key bar that the input covers."""
        super().__init__(context)
        self.input = FilterInput(keys)
        """Input of the filter, to be mounted by the screen."""
        self._texts = {"projects": "", "sessions": ""}
        self._edited = "sessions"  # the list whose filter is typed

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        return {"filter": Handler(self.open)}

    def text_of(self, listing: str) -> str:
        """Return the filter of 'projects' or 'sessions'; '' if there is none."""
        return self._texts[listing]

    def open(self) -> None:
        """Open the input with the filter of the focused list."""
        pane = self.context.selection.pane
        self._edited = pane if pane in self._texts else "sessions"
        self.input.value = self._texts[self._edited]
        self.input.show(True)
        self.context.view.set_focus(self.input)

    def update(self, text: str) -> None:
        """Filter the rows by what is typed so far."""
        if self.input.is_open:
            self._texts[self._edited] = text
            self._draw(self._edited)

    def close(self, *, clear: bool = False) -> bool:
        """Close the input; `clear` removes the filter too. Return False if there was nothing to close or remove."""
        was_open = self.input.is_open
        listing = self._edited if was_open else self.context.selection.pane
        had_text = bool(self._texts.get(listing))
        if clear and had_text:
            self._texts[listing] = ""
        self.input.show(False)
        if was_open:
            self.context.view.focus_pane(listing)
        if clear and had_text:
            self._draw(listing)
        return was_open or (clear and had_text)

    def _draw(self, listing: str) -> None:
        view = self.context.view
        (view.draw_projects if listing == "projects" else view.draw_sessions)()
