"""The way to and from the terminal, which may go away at any moment: its window closed, its line lost."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from relay_tui.ui.keys import actions
from relay_tui.ui.textual_internals.escape_parser import ESCAPE, EscapeParser

READ = 4096  # bytes of keys taken at once
ALONE = constants.ESCAPE_DELAY + 0.001  # seconds after which an escape that nothing followed is a key of its own


class TerminalWriter(io.TextIOWrapper):
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


class SelectableEvent(Event):
    """An event that can be waited for together with files: there is something to read from it while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self._ear, self._hammer = os.pipe()

    def fileno(self) -> int:
        """What to wait for."""
        return self._ear

    def set(self) -> None:
        """Ring, once."""
        if not self.is_set():
            os.write(self._hammer, b"!")
            super().set()

    def clear(self) -> None:
        """Be still again."""
        if self.is_set():
            os.read(self._ear, 1)
            super().clear()


class TerminalDriver(LinuxDriver):
    """Textual's, over an outlet. A terminal that is gone ends relay as if the line had been hung up."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.exit_event = self._left = SelectableEvent()
        keys = [key for action in actions.ACTIONS for key in actions.keys_of(action).split(",")]
        self._alt_keys = {key[4:] for key in keys if key.startswith("alt+")}
        if sys.__stderr__ is not None:
            self._file = TerminalWriter(sys.__stderr__, lambda: os.kill(os.getpid(), signal.SIGHUP))

    def run_input_thread(self) -> None:
        """Hand on what is typed; sleep until there is something.

        Textual's own looks ten times a second, which is most of what a screen at rest would do, and tells an escape
        only at the second look. Here one look follows each packet, when it is due.
        """
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace").decode
        escapes = EscapeParser(self._alt_keys)
        due: float | None = None
        while not self._left.is_set():
            ready, _, _ = select.select([self.fileno, self._left], [], [], due)
            due = None
            if self.fileno in ready:
                typed = self._typed()
                if not typed:
                    return
                for part in escapes.parts(decode(typed)):
                    self._post([_escape()] if part is None else parser.feed(part))
                due = ALONE
            elif begun := escapes.give_up():
                self._post([_escape()] if begun == ESCAPE else parser.feed(begun))
                due = ALONE
            self._post(parser.tick())

    def _typed(self) -> bytes:
        """Whatever has come; nothing where there is no terminal any more."""
        try:
            return os.read(self.fileno, READ)
        except OSError:
            return b""

    def _post(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)


def _escape() -> events.Key:
    return events.Key("escape", ESCAPE)
