"""The way to the terminal, which may go away at any moment: its window closed, its line lost."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class Outlet(io.TextIOWrapper):
    """Takes whatever is written, also when nobody can read it any more, and calls `gone` when that is so.

    Textual's writing thread would end with the first error; its queue then fills up and holds the screen's thread for
    good, which no signal but KILL ends.
    """

    def __init__(self, file: io.TextIOWrapper, gone: Callable[[], object]) -> None:
        encoding, errors = file.encoding, file.errors
        super().__init__(io.BufferedWriter(io.FileIO(file.fileno(), "w", closefd=False)), encoding, errors)
        self._gone = gone

    def write(self, text: str, /) -> int:
        """Write it, or drop it where there is no terminal."""
        try:
            return super().write(text)
        except OSError:
            self._gone()
            return len(text)

    def flush(self) -> None:
        """Bring it to the terminal, if there is one."""
        try:
            super().flush()
        except OSError:
            self._gone()


class TerminalDriver(LinuxDriver):
    """Textual's, over an outlet. A terminal that is gone ends relay as if the line had been hung up."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if sys.__stderr__ is not None:
            self._file = Outlet(sys.__stderr__, lambda: os.kill(os.getpid(), signal.SIGHUP))
