"""The log that has the focus: the selected session's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual.app import ComposeResult

from relay_tui.services import names
from relay_tui.ui.doing import Doing
from relay_tui.ui.filter_line import FilterLine
from relay_tui.ui.log_actions import LogActions
from relay_tui.ui.log_prompt import LogPrompt
from relay_tui.ui.log_view import LogView


class LogKeys(Doing, LogActions):
    """Lends the keys of a log the one in the detail."""

    def lines_to_type_in(self) -> ComposeResult:
        """One more, for patterns."""
        yield from super().lines_to_type_in()
        yield LogPrompt(self.use_pattern)

    def show_prompt(self, prompt: LogPrompt, *, shown: bool) -> None:
        """The line of the filter, which lies over the key bar, makes room too."""
        super().show_prompt(prompt, shown=shown)
        self.query_one(FilterLine).display = not shown

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.detail.log_view

    @property
    def log_name(self) -> str:
        """The selected session's."""
        session = self.detail.log_pane.session
        return names.full_name(self.world.records, session) if session is not None else ""

    def reopen_log(self, since: float, words: str) -> None:
        """Show what was written lately, and what comes."""
        self.detail.log_pane.reopen(since, words)

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Among the others."""
        return self.relay.files.save_log(name, pieces)
