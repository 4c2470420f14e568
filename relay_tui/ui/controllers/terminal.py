"""How keys get things done: about which session, and the terminal lent to a program."""

from __future__ import annotations

import sys
from collections.abc import Callable

from textual.app import SuspendNotSupported

from relay_tui.domain.errors import Fault, RelayError
from relay_tui.domain.models import Session
from relay_tui.ui.controllers.merged_log import MergedLogController
from relay_tui.ui.service_runner import ServiceRunner
from relay_tui.ui.signals import ending_at_once


class Doing(MergedLogController, ServiceRunner):
    """What the main screen's actions are made of."""

    def session_or_say(self) -> Session | None:
        """The session that a key is about; without one, say so."""
        found = self.session
        if found is None:
            self.notify("Choose a session first.", severity="warning")
        return found

    def suspend_for(self, use: Callable[[], object], words: str = "") -> None:
        """Suspend the screen while `use` has the terminal; whatever happens, the screen comes back."""
        failed: RelayError | OSError | None = None
        try:
            with self.app.suspend(), ending_at_once():
                try:
                    if words:
                        _write_plain(f"\x1b[2J\x1b[H\x1b[2m{words}\x1b[0m\r\n")
                    use()
                except (RelayError, OSError) as error:  # suspend() has no finally: nothing may pass through it
                    failed = error
        except SuspendNotSupported:
            self.notify("This terminal cannot be lent out.", severity="error")
        self.refresh()
        if isinstance(failed, RelayError):
            self.notify_error(failed.fault)
        elif failed is not None:
            self.notify_error(Fault("file-system", "The terminal failed", str(failed)))


def _write_plain(words: str) -> None:
    if sys.__stdout__ is not None:
        sys.__stdout__.write(words)
        sys.__stdout__.flush()
