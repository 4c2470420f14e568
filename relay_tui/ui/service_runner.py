"""Service calls off the screen's thread; their errors become notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from relay_tui.domain.errors import Fault, RelayError
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.presentation.formatting import format_hint


class ServiceRunner:
    """Runs one screen's service calls in threads."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen

    def run(self, call: Callable[[], object]) -> None:
        """Run a service call in a thread. A RelayError becomes a notification."""

        async def call_in_thread() -> None:
            try:
                await asyncio.to_thread(call)
            except RelayError as error:
                self.notify_error(error.fault)

        self._screen.run_worker(call_in_thread(), group="actions")

    def notify_error(self, fault: Fault) -> None:
        """Show what failed and what to do, on one line where possible: each further line may cover a row."""
        detail = clean_block(fault.detail, lines=6)
        separator = "\n" if "\n" in detail else " "
        title = clean(fault.title) + ("." if detail or fault.hint else "")
        text = separator.join(filter(None, (title, detail, format_hint(fault.hint))))
        self._screen.notify(text, severity="error", timeout=8, markup=False)
