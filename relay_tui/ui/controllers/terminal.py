"""Terminal actions: attach to a session, open a shell in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from textual.app import SuspendNotSupported

from relay_tui.domain.errors import ConflictError, Fault, RelayError
from relay_tui.domain.models import Session, SessionState
from relay_tui.services import naming
from relay_tui.text.sanitize import clean
from relay_tui.ui.controllers.base import Controller
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.signals import ending_at_once


class TerminalController(Controller):
    """Suspends the screen while another program uses the terminal."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        selection = self.context.selection
        return {
            "attach": Handler(self.attach, requires=selection.has_session, offered_when=selection.has_running_session),
            "shell": Handler(
                self.open_shell, requires=selection.has_session, offered_when=selection.has_running_session
            ),
        }

    def attach(self) -> None:
        """Hand the terminal over to the session's main process."""
        session = self.context.selection.target
        if session is not None:
            self._use_container(session, lambda: self.context.relay.runtime.attach(session.container_id))

    def open_shell(self) -> None:
        """Hand the terminal over to a shell in the session."""
        session = self.context.selection.target
        if session is not None:
            name = clean(naming.full_name(self.context.state().records, session))
            self._use_container(
                session,
                lambda: self.context.relay.runtime.run(session.container_id, ()),
                f"a shell in {name}; exit returns to relay",
            )

    def _use_container(self, session: Session, use: Callable[[], object], banner: str = "") -> None:
        """Suspend the screen for `use`, which needs the session's container to run."""
        if session.state is SessionState.RUNNING:
            self.suspend_for(use, banner)
        else:
            hint = "{start} starts it; {retry} retries the failed step."
            self.context.notify_error(ConflictError(f"{session.name} is not running", hint=hint).fault)

    def suspend_for(self, use: Callable[[], object], banner: str = "") -> None:
        """Suspend the screen while `use` has the terminal. The screen comes back whatever happens.

        `banner` is written on the empty terminal first.
        """
        error: RelayError | OSError | None = None
        try:
            with self.context.view.app.suspend(), ending_at_once():
                try:
                    if banner:
                        _write(f"\x1b[2J\x1b[H\x1b[2m{banner}\x1b[0m\r\n")
                    use()
                except (RelayError, OSError) as raised:  # App.suspend has no finally: nothing may pass through it
                    error = raised
        except SuspendNotSupported:
            text = "This terminal cannot be suspended, so no program can be run in it."
            self.context.notify(text, severity="error")
        self.context.view.refresh()
        if isinstance(error, RelayError):
            self.context.notify_error(error.fault)
        elif error is not None:
            self.context.notify_error(Fault("file-system", "The terminal failed", str(error)))


def _write(text: str) -> None:
    if sys.__stdout__ is not None:
        sys.__stdout__.write(text)
        sys.__stdout__.flush()
