"""Bridge between this process's standard streams and a connection, in both directions at the same time."""

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
"""ctrl+q, as a control character or in the encodings of enhanced keyboard protocols."""
CTRL_Q_OR_C = re.compile(rb"[\x11\x03]()")
"""Keys that detach from a program without a terminal: it would not get a signal for ctrl+c."""
NO_KEY = re.compile(rb"(?!)")
"""Pattern without a match: no key detaches, only the end of the terminal."""
_CTRL = 4
_LOCKS = 64 | 128

Resize = Callable[[int, int], bool]
"""Callback with rows and columns. Returns whether the engine applied them."""


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
    """Bridge for one connection. `write` gets the received bytes; `stdin` is the descriptor to send from."""

    def __init__(self, stream: Connection, write: Callable[[bytes], None], stdin: int | None) -> None:
        self._stream = stream
        self._socket = stream.socket
        self._write = write
        self._stdin = stdin
        self._outgoing = memoryview(b"")
        self.detach_key: re.Pattern[bytes] | None = None
        """Key that detaches. If set, the end of stdin detaches too; if None, the end is forwarded to the connection."""
        self.size: WindowSizeSync | None = None

    def run(self) -> bool:
        """Copy bytes until the connection ends (False), or until the detach key or the end of stdin (True).

        Raises OSError if the connection fails.
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
        """Receive available bytes. Return False at the end of the connection."""
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
        """Read from stdin. Return whether the user detaches."""
        try:
            data = os.read(descriptor, _READ)
        except OSError:  # the terminal is lost
            data = b""
        if not data:
            if self.detach_key is not None:
                return True
            self._stdin = None
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            return False
        detaches = False
        if self.detach_key is not None and (found := find_key(self.detach_key, data)) is not None:
            data, detaches = data[:found], True
        self._outgoing = memoryview(data)
        self._send()
        return detaches


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
        self._next_attempt: float | None = 0.0
        self._attempts = 0
        self.changed, self._signal = os.pipe()
        os.set_blocking(self._signal, False)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.changed)
        os.close(self._signal)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGWINCH: wake the bridge, which applies the new size."""
        with suppress(BlockingIOError):
            os.write(self._signal, b"\0")

    def wait(self) -> float | None:
        """Return the milliseconds until the next resize attempt; None if there is none."""
        return None if self._next_attempt is None else max(0.0, self._next_attempt - time.monotonic()) * 1000

    def due(self, ready: set[int]) -> bool:
        """Return whether the remote terminal needs the current size."""
        if self.changed in ready:
            os.read(self.changed, 1024)
            self._attempts = 0
            return True
        return self._next_attempt is not None and time.monotonic() >= self._next_attempt

    def apply(self) -> None:
        """Send the current size. For a redraw send another size first, because a program ignores an unchanged size."""
        self._next_attempt = None
        try:
            columns, rows = os.get_terminal_size(1)
        except OSError:  # the terminal is lost
            return
        columns, rows = columns or 80, rows or 24
        if self._redraw:
            self._redraw = False
            self._resize(rows, max(1, columns - 1))
            self._next_attempt = time.monotonic() + 0.1
        elif not self._resize(rows, columns) and self._attempts < 20:
            self._attempts += 1
            self._next_attempt = time.monotonic() + 0.05


@contextmanager
def watch_window_size(resize: Resize, *, redraw: bool) -> Iterator[WindowSizeSync]:
    """Watch the size of relay's terminal: every change in the main thread, only the first size in other threads."""
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
        with suppress(termios.error):  # the terminal is lost
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def line_terminal(descriptor: int) -> Iterator[None]:
    """Leave line editing and echo to the terminal, but let ctrl+q and ctrl+c through at once."""
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
    """Write all of the data, even if the descriptor is non-blocking. Raises OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(descriptor, select.POLLOUT)
            poller.poll()
