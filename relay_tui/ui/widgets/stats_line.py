"""Resource usage of the selected session, beside the tabs of the detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation import stats

if TYPE_CHECKING:
    from relay_tui.domain.errors import RelayError
    from relay_tui.ports import Stats


class StatsLine(Static):
    """One line at the right; empty for a session that does not run."""

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="stats", markup=False)
        self._ascii = ascii_only
        self._history: Sequence[Stats] | None = None
        self._trouble: RelayError | None = None
        self._line = Content("")

    def show(self, history: Sequence[Stats] | None, trouble: RelayError | None = None) -> None:
        """Show the last readings; [] before the first reading, None for a session that is not measured."""
        self._history, self._trouble = history, trouble
        self._draw()

    def on_resize(self) -> None:
        """Fit the line to the new width."""
        self._draw()

    def _draw(self) -> None:
        width = self.size.width
        if self._history:
            line = stats.stats_line(self._history, width, ascii_only=self._ascii)
        elif self._history is None or width < 10:
            line = Content("")
        else:
            words = f"no figures: {clean(self._trouble.title)}" if self._trouble else "measuring"
            line = Content.styled(words[:width], "$foreground-muted")
        if not line.is_same(self._line):
            self._line = line
            self.update(line, layout=False)
