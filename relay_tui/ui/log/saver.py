"""Saving a log to a file. Lines before those that were loaded are loaded first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

from textual.screen import Screen

from relay_tui.domain.errors import CancelledError, RelayError
from relay_tui.text.sanitize import clean
from relay_tui.ui.log.model.line_text import plain_lines
from relay_tui.ui.log.renderer import time_text
from relay_tui.ui.log.view import LogView
from relay_tui.ui.service_runner import ServiceRunner


class LogSaver:
    """Loads all lines of one log, then writes them. The border shows the progress; `stop` ends it."""

    def __init__(
        self,
        screen: Screen[Any],
        *,
        log_view: Callable[[], LogView],
        log_name: Callable[[], str],
        write: Callable[[str, Iterable[str]], Path],
    ) -> None:
        """`log_name` returns the name of the shown log, '' for none.

        `write` writes pieces of text to a new file with that name and returns its path; it may raise RelayError.
        """
        self._screen = screen
        self._runner = ServiceRunner(screen)
        self._log_view = log_view
        self._log_name = log_name
        self._write = write
        self._name = ""  # the log that is being saved
        self._stopped: Event | None = None  # set to stop the writing; None: the writing has not started

    def start(self) -> None:
        """Save the lines that match the filter, or all lines, to a new file."""
        name = self._log_name()
        if name and not self._name:
            self._name = name
            self._log_view().want_all(True)
            self.proceed()

    def proceed(self) -> None:
        """Write once all lines are loaded. To be called when the view's state changes.

        The log to save may be closed by then: another one is shown, or the same log was opened again.
        """
        view = self._log_view()
        if not self._name or self._stopped is not None:
            return
        if not view.wants_all or self._log_name() != self._name:
            self.stop()
        elif view.has_all:
            self._stopped = Event()
            self._screen.run_worker(self._save(view, self._name, self._stopped), group="saving a log")

    def stop(self) -> bool:
        """Stop saving. Return False if nothing was being saved."""
        if not self._name:
            return False
        if self._stopped is not None:
            self._stopped.set()
        else:
            self._finish()
            self._screen.notify("Nothing was saved.", timeout=2)
        return True

    def _finish(self) -> None:
        self._name, self._stopped = "", None
        self._log_view().want_all(False)

    async def _save(self, view: LogView, name: str, stopped: Event) -> None:
        pieces = _CountedPieces(plain_lines(view.buffer, view.filter, times=view.state.times), stopped)
        limits = _limits(view)
        try:
            path = await asyncio.to_thread(self._write, name, pieces)
        except CancelledError:
            self._screen.notify("Nothing was saved.", timeout=2)
        except RelayError as error:
            self._runner.notify_error(error.fault)
        else:
            lines = f"{pieces.lines:,} {'line' if pieces.lines == 1 else 'lines'}"
            self._screen.notify(f"Saved {lines}{limits} to {clean(str(path))}", timeout=4, markup=False)
        self._finish()


def _limits(view: LogView) -> str:
    """Return from which time on there are lines, and why there are none before; '' for a whole log."""
    buffer = view.buffer
    since = f" since {view.state.since} ago" if view.state.since else ""
    if not len(buffer) or not view.without_older:
        return since
    moment = time_text(buffer.line(buffer.first).time).strip()
    return f" from {moment or 'later'} on (older ones {view.without_older})"


class _CountedPieces:
    """Iterator over the text pieces for a file that counts the lines. A newline is a piece of its own."""

    def __init__(self, pieces: Iterator[str], stopped: Event) -> None:
        self.lines = 0
        self._pieces = pieces
        self._stopped = stopped

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            if piece == "\n":
                self.lines += 1
                if self._stopped.is_set():
                    raise CancelledError("Stopped")
            yield piece
