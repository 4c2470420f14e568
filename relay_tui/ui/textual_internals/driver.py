"""Terminal driver that survives the loss of the terminal and sleeps until a key is pressed."""

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

READ_SIZE = 4096  # bytes
ESCAPE_TIMEOUT = constants.ESCAPE_DELAY + 0.001  # seconds after which an escape that nothing follows is the key


class TerminalWriter(io.TextIOWrapper):
    """Output file that drops what cannot be written any more, and calls `gone` each time.

    Textual's writer thread ends with the first error. Its queue then fills up and blocks the screen's thread forever:
    only SIGKILL ends such a process.
    """

    def __init__(self, file: io.TextIOWrapper, gone: Callable[[], object]) -> None:
        encoding, errors = file.encoding, file.errors
        super().__init__(io.BufferedWriter(io.FileIO(file.fileno(), "w", closefd=False)), encoding, errors)
        self._gone = gone

    def write(self, text: str, /) -> int:
        """Write `text`, or drop it if there is no terminal."""
        try:
            return super().write(text)
        except OSError:
            self._gone()
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, if there is a terminal."""
        try:
            super().flush()
        except OSError:
            self._gone()


class SelectableEvent(Event):
    """Event that `select` can wait for together with files: it is readable while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self._read_fd, self._write_fd = os.pipe()

    def fileno(self) -> int:
        """Return the file descriptor to wait for."""
        return self._read_fd

    def set(self) -> None:
        """Set the event and make the file descriptor readable."""
        if not self.is_set():
            os.write(self._write_fd, b"!")
            super().set()

    def clear(self) -> None:
        """Clear the event and empty the file descriptor."""
        if self.is_set():
            os.read(self._read_fd, 1)
            super().clear()


class TerminalDriver(LinuxDriver):
    """Textual's driver with another output and input. Losing the terminal ends relay like a hangup."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.exit_event = self._exit = SelectableEvent()
        keys = [key for action in actions.ACTIONS for key in actions.keys_of(action).split(",")]
        self._alt_keys = {key[4:] for key in keys if key.startswith("alt+")}
        if sys.__stderr__ is not None:
            self._file = TerminalWriter(sys.__stderr__, lambda: os.kill(os.getpid(), signal.SIGHUP))

    def run_input_thread(self) -> None:
        """Post what is typed; sleep until there is input.

        Textual's own thread wakes up ten times a second, which is most of the work of an idle screen, and reports an
        escape only at the second time. This thread wakes up once after each packet, when an escape is due.
        """
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace").decode
        escapes = EscapeParser(self._alt_keys)
        due: float | None = None
        while not self._exit.is_set():
            ready, _, _ = select.select([self.fileno, self._exit], [], [], due)
            due = None
            if self.fileno in ready:
                typed = self._read()
                if not typed:
                    return
                for part in escapes.parts(decode(typed)):
                    self._post([_escape()] if part is None else parser.feed(part))
                due = ESCAPE_TIMEOUT
            elif held := escapes.give_up():
                self._post([_escape()] if held == ESCAPE else parser.feed(held))
                due = ESCAPE_TIMEOUT
            self._post(parser.tick())

    def _read(self) -> bytes:
        """Return the input that is there; nothing if the terminal is gone."""
        try:
            return os.read(self.fileno, READ_SIZE)
        except OSError:
            return b""

    def _post(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)


def _escape() -> events.Key:
    return events.Key("escape", ESCAPE)
