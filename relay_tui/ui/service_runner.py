"""Service calls made off the screen's thread, and how a screen tells what was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.screen import Screen

from relay_tui.domain.errors import Fault, RelayError
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.presentation.formatting import format_hint


class ServiceRunner(Screen[None]):
    """A screen whose keys are service calls."""

    def perform(self, call: Callable[[], object]) -> None:
        """Make a service call in a thread; what it refuses is told in a toast."""

        async def calling() -> None:
            try:
                await asyncio.to_thread(call)
            except RelayError as error:
                self.notify_error(error.fault)

        self.run_worker(calling(), group="actions")

    def notify_error(self, fault: Fault) -> None:
        """A toast: what was refused, and what to do. Without line breaks where it can be: each may cover a row."""
        detail = clean_block(fault.detail, lines=6)
        between = "\n" if "\n" in detail else " "
        title = clean(fault.title) + ("." if detail or fault.hint else "")
        words = between.join(filter(None, (title, detail, format_hint(fault.hint))))
        self.notify(words, severity="error", timeout=8, markup=False)
