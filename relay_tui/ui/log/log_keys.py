"""The log that has the focus: the selected session's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from relay_tui.services import naming
from relay_tui.ui.controllers.terminal import Doing
from relay_tui.ui.log.controller import LogController
from relay_tui.ui.log.prompt import LogPrompt
from relay_tui.ui.log.view import LogView
from relay_tui.ui.widgets.overlay_input import OverlayInput


class LogKeys(Doing, LogController):
    """Lends the keys of a log the one in the detail."""

    def lines_to_type_in(self) -> Iterator[OverlayInput]:
        """One more, for patterns."""
        below = [*super().lines_to_type_in()]
        yield from (*below, LogPrompt(below[-1], self.use_pattern))

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.detail.log_view

    @property
    def log_name(self) -> str:
        """The selected session's."""
        session = self.detail.log_pane.session
        return naming.full_name(self.world.records, session) if session is not None else ""

    def reopen_log(self, since: float, words: str) -> None:
        """Show what was written lately, and what comes."""
        self.detail.log_pane.reopen(since, words)

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Among the others."""
        return self.relay.files.save_log(name, pieces)
