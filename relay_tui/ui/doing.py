"""How keys get things done: service calls off the screen's thread, and the terminal lent to a program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from textual.app import SuspendNotSupported

from relay_tui.errors import Fault, RelayError
from relay_tui.model import Session
from relay_tui.text import clean, clean_block
from relay_tui.ui.endings import ending_at_once
from relay_tui.ui.joint import Joint


class Doing(Joint):
    """What the main screen's actions are made of."""

    def perform(self, call: Callable[[], object]) -> None:
        """Make a service call in a thread; what it refuses is told in a toast."""

        async def calling() -> None:
            try:
                await asyncio.to_thread(call)
            except RelayError as error:
                self.tell(error.fault)

        self.run_worker(calling(), group="actions")

    def tell(self, fault: Fault) -> None:
        """A toast: what was refused, and what to do."""
        words = "\n".join(filter(None, (clean_block(fault.detail, lines=6), clean(fault.hint))))
        self.notify(words or clean(fault.title), title=clean(fault.title), severity="error", timeout=8, markup=False)

    def session_or_say(self) -> Session | None:
        """The session that a key is about; without one, say so."""
        found = self.session
        if found is None:
            self.notify("Choose a session first.", severity="warning")
        return found

    def lend_terminal(self, use: Callable[[], object], words: str = "") -> None:
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
            self.tell(failed.fault)
        elif failed is not None:
            self.tell(Fault("file-system", "The terminal failed", str(failed)))


def _write_plain(words: str) -> None:
    if sys.__stdout__ is not None:
        sys.__stdout__.write(words)
        sys.__stdout__.flush()
