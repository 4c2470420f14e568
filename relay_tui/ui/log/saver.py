"""Saving a log to a file: what is shown of all of it, so the lines before those that were loaded are loaded first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event

from textual import on

from relay_tui.domain.errors import CancelledError, RelayError
from relay_tui.text.sanitize import clean
from relay_tui.ui.log.model.line_text import plain_lines
from relay_tui.ui.log.renderer import time_text
from relay_tui.ui.log.view import LogView
from relay_tui.ui.service_runner import ServiceRunner


class LogSaving(ServiceRunner):
    """Loads, then writes. How far it is stands in the border; esc stops it."""

    _saving = ""  # the name of the log that is being saved
    _stopped: Event | None = None  # set to stop the writing; None: not that far yet

    @property
    def log_view(self) -> LogView:
        """The log."""
        raise NotImplementedError

    @property
    def log_name(self) -> str:
        """What a file with the log is named after; empty: there is none."""
        raise NotImplementedError

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Write it to a new file; answer where. Raises RelayError."""
        raise NotImplementedError

    def action_log_save(self) -> None:
        """Write the lines that match, or all, to a new file."""
        if self.log_name and not self._saving:
            self._saving = self.log_name
            self.log_view.want_all(True)
            self.go_on_saving()

    @on(LogView.StateChanged)
    def go_on_saving(self) -> None:
        """Write once all is loaded; another log, or the same opened anew, is not what was to be saved."""
        view = self.log_view
        if not self._saving or self._stopped is not None:
            return
        if not view.wants_all or self.log_name != self._saving:
            self.stop_saving()
        elif view.has_all:
            self._stopped = Event()
            self.run_worker(self._save_to_file(self._saving, self._stopped), group="saving a log")

    def stop_saving(self) -> bool:
        """Leave it; False if nothing was being saved."""
        if not self._saving:
            return False
        if self._stopped is not None:
            self._stopped.set()
        else:
            self._saved()
            self.notify("Nothing was saved.", timeout=2)
        return True

    def _saved(self) -> None:
        self._saving, self._stopped = "", None
        self.log_view.want_all(False)

    async def _save_to_file(self, name: str, stopped: Event) -> None:
        view = self.log_view
        counted = _Counted(plain_lines(view.buffer, view.filter, times=view.state.times), stopped)
        limits = _limits(view)
        try:
            path = await asyncio.to_thread(self.save_log, name, counted)
        except CancelledError:
            self.notify("Nothing was saved.", timeout=2)
        except RelayError as error:
            self.notify_error(error.fault)
        else:
            lines = f"{counted.lines:,} {'line' if counted.lines == 1 else 'lines'}"
            self.notify(f"Saved {lines}{limits} to {clean(str(path))}", timeout=4, markup=False)
        self._saved()


def _limits(view: LogView) -> str:
    """From when on there are lines, where that is not from the log's beginning on, and why."""
    buffer = view.buffer
    words = f" since {view.state.since} ago" if view.state.since else ""
    if not len(buffer) or not view.without_older:
        return words
    moment = time_text(buffer.line(buffer.first).time).strip()
    return f" from {moment or 'later'} on (older ones {view.without_older})"


class _Counted:
    """Lines on their way to a file, each ending with a piece that is a newline."""

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
