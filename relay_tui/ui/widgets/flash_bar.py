"""Where things are told for a moment: over the line of keys, or one line above it while somebody types in its place."""

from __future__ import annotations

from typing import TypeVar

from textual import events, on
from textual.app import App
from textual.notifications import SeverityLevel
from textual.widgets import Input

Result = TypeVar("Result")


class Telling(App[Result]):
    """Two lines of what is told cover no row: they lie over the keys and the panes' lower frame."""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Tell it, where it hides nothing that is read or typed.

        It takes the place of the same words, and of what was told before unless that is wrong or is to stay for long.
        """
        for before in list(self._notifications):
            passing = before.severity == "information" and before.timeout <= self.NOTIFICATION_TIMEOUT
            if passing or before.message == message:
                self._unnotify(before, refresh=False)
        self._make_room(told=True)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    @on(events.DescendantFocus)
    def typing_began_or_ended(self) -> None:
        """What is told already moves too. Where nothing is, nothing has to be laid out."""
        self._make_room(told=False)

    def _make_room(self, *, told: bool) -> None:
        for rack in self.screen.query_children("ToastRack"):
            if told or rack.display:
                rack.set_class(isinstance(self.focused, Input), "-above")
