"""Carries bytes between this process's standard streams and a connection, both ways at once."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol

_READ = 64 * 1024
CTRL_Q = re.compile(rb"\x11|\x1b\[113(?::\d*)*;(\d+)(?::1)?u|\x1b\[27;5;113~")
"""ctrl-q, as a control character or as enhanced keyboards tell it."""
CTRL_Q_OR_C = re.compile(rb"[\x11\x03]()")
"""What leaves where the far side has no terminal that would make anything of ctrl-c."""
NO_KEY = re.compile(rb"(?!)")
"""What every key passes: only the end of the terminal leaves."""
_CTRL = 4
_LOCKS = 64 | 128

Resize = Callable[[int, int], bool]
"""Takes rows and columns; answers whether the engine took them."""


class Connection(Protocol):
    """Connection of a bridge."""

    @property
    def socket(self) -> socket.socket:
        """The connection itself."""
        ...

    def take_ahead(self) -> bytes:
        """Return bytes that were already read."""
        ...


class StdioBridge:
    """One conversation. `write` gets what comes; `stdin` is the descriptor to send from, None for nothing at all."""

    def __init__(self, stream: Connection, write: Callable[[bytes], None], stdin: int | None) -> None:
        self._stream = stream
        self._socket = stream.socket
        self._write = write
        self._stdin = stdin
        self._outgoing = memoryview(b"")
        self.leave: re.Pattern[bytes] | None = None
        """The key that leaves, as the end of stdin does then; None: that end is handed on."""
        self.size: WindowSizeSync | None = None

    def run(self) -> bool:
        """Pump until the connection ends (False), or until the key that leaves is pressed or stdin ends (True).

        Raises OSError when it breaks.
        """
        if ahead := self._stream.take_ahead():
            self._write(ahead)
        self._socket.setblocking(False)
        while True:
            ready = self._poll()
            if self.size is not None and self.size.due(ready):
                self.size.apply()
            if self._socket.fileno() in ready and not self._receive():
                return False
            if self._outgoing:
                self._send()
            elif self._stdin is not None and self._stdin in ready and self._read_stdin(self._stdin):
                return True

    def _poll(self) -> set[int]:
        poller = select.poll()
        poller.register(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        if self._stdin is not None and not self._outgoing:
            poller.register(self._stdin, select.POLLIN)
        timeout: float | None = None
        if self.size is not None:
            poller.register(self.size.changed, select.POLLIN)
            timeout = self.size.wait()
        return {descriptor for descriptor, _ in poller.poll(timeout)}

    def _receive(self) -> bool:
        """Take in what is there; answer whether more may come."""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return True
        if data:
            self._write(data)
        return bool(data)

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing, self._stdin = memoryview(b""), None
            return
        self._outgoing = self._outgoing[sent:]

    def _read_stdin(self, descriptor: int) -> bool:
        """Read what was typed or piped; answer whether it asks to leave."""
        try:
            data = os.read(descriptor, _READ)
        except OSError:  # the terminal is gone
            data = b""
        if not data:
            if self.leave is not None:
                return True
            self._stdin = None
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            return False
        leave = False
        if self.leave is not None and (found := find_key(self.leave, data)) is not None:
            data, leave = data[:found], True
        self._outgoing = memoryview(data)
        self._send()
        return leave


def find_key(key: re.Pattern[bytes], data: bytes) -> int | None:
    """Return the position of the key in the input, regardless of caps lock and num lock."""
    for match in key.finditer(data):
        modifiers = (int(match[1]) - 1) & ~_LOCKS if match[1] else _CTRL
        if modifiers == _CTRL:
            return match.start()
    return None


class WindowSizeSync:
    """Keep the remote terminal at the size of the local one."""

    def __init__(self, resize: Resize, *, redraw: bool) -> None:
        self._resize = resize
        self._redraw = redraw
        self._again: float | None = 0.0
        self._tries = 0
        self.changed, self._signal = os.pipe()
        os.set_blocking(self._signal, False)

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.changed)
        os.close(self._signal)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """SIGWINCH: note it, the pump does the rest."""
        with suppress(BlockingIOError):
            os.write(self._signal, b"\0")

    def wait(self) -> float | None:
        """Milliseconds until something is due by itself."""
        return None if self._again is None else max(0.0, self._again - time.monotonic()) * 1000

    def due(self, ready: set[int]) -> bool:
        """Return whether the remote terminal needs the current size."""
        if self.changed in ready:
            os.read(self.changed, 1024)
            self._tries = 0
            return True
        return self._again is not None and time.monotonic() >= self._again

    def apply(self) -> None:
        """Tell it; a redraw first tells it another size, for a program ignores a size that it has already."""
        self._again = None
        try:
            columns, rows = os.get_terminal_size(1)
        except OSError:  # the terminal is gone
            return
        columns, rows = columns or 80, rows or 24
        if self._redraw:
            self._redraw = False
            self._resize(rows, max(1, columns - 1))
            self._again = time.monotonic() + 0.1
        elif not self._resize(rows, columns) and self._tries < 20:
            self._tries += 1
            self._again = time.monotonic() + 0.05


@contextmanager
def watch_window_size(resize: Resize, *, redraw: bool) -> Iterator[WindowSizeSync]:
    """Watch our terminal's size, in the main thread at every change, elsewhere once."""
    size = WindowSizeSync(resize, redraw=redraw)
    main = threading.current_thread() is threading.main_thread()
    before: Any = signal.signal(signal.SIGWINCH, size.on_signal) if main else None
    try:
        yield size
    finally:
        if main:
            signal.signal(signal.SIGWINCH, before if before is not None else signal.SIG_DFL)
        size.close()


@contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Put the terminal into raw mode, and restore it at the end."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def line_terminal(descriptor: int) -> Iterator[None]:
    """Leave line editing and echo to the terminal, but let ctrl-q and ctrl-c through at once."""
    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[0] &= ~termios.IXON
    changed[3] &= ~termios.ISIG
    changed[6][termios.VEOL], changed[6][termios.VEOL2] = b"\x11", b"\x03"
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def write_all(descriptor: int, data: bytes) -> None:
    """Write the whole of it, also where the descriptor does not block. Raises OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(descriptor, select.POLLOUT)
            poller.poll()
