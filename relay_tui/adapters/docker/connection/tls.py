"""TLS behind a plain socket.

ssl's own sockets cannot say "no more input" and go on reading, which `run` needs at the end of its stdin: half-closed
they hand out ciphertext. So a thread does the TLS, and everyone else has a socket like any other.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress

_READ = 64 * 1024
_ENOUGH = 256 * 1024


def wrap(outer: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    """Shake hands on a connected socket, which then belongs to the plain one answered. Raises OSError."""
    link = _Link(outer, context, host)
    link.shake_hands()
    ours, link.inner = socket.socketpair()
    threading.Thread(target=link.carry, name="engine-tls", daemon=True).start()
    return ours


class _Link:
    """Carries bytes between a plain socket (inner) and an encrypted one (outer)."""

    inner: socket.socket

    def __init__(self, outer: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._outward, self._inward = bytearray(), bytearray()
        self._inner_ended = self._outer_ended = False

    def shake_hands(self) -> None:
        """Blocks as long as the outer socket's time limit allows."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._outer.sendall(self._to_send.read())
                data = self._outer.recv(_READ)
                if not data:
                    raise ConnectionResetError("the connection ended while shaking hands") from None
                self._received.write(data)
            else:
                self._outer.sendall(self._to_send.read())
                return

    def carry(self) -> None:
        """Until either side is done."""
        with self.inner, self._outer, suppress(OSError):
            self.inner.setblocking(False)
            self._outer.setblocking(False)
            self._decrypt()
            while self._step():
                pass

    def _step(self) -> bool:
        """Wait for something to do and do it; answer whether there will be more."""
        poller = select.poll()
        inner, outer = self.inner.fileno(), self._outer.fileno()
        take = not self._inner_ended and len(self._outward) < _ENOUGH
        poller.register(inner, (select.POLLIN if take else 0) | (select.POLLOUT if self._inward else 0))
        take = not self._outer_ended and len(self._inward) < _ENOUGH
        events = (select.POLLIN if take else 0) | (select.POLLOUT if self._outward else 0)
        if events:
            poller.register(outer, events)
        ready = dict(poller.poll())
        if ready.get(inner, 0) & (select.POLLHUP | select.POLLERR):
            return False
        if ready.get(inner, 0) & select.POLLIN:
            self._encrypt(self.inner.recv(_READ))
        if take and ready.get(outer):
            self._take(self._outer)
        _send(self._outer, self._outward)
        _send(self.inner, self._inward)
        return not (self._outer_ended and not self._inward)

    def _take(self, outer: socket.socket) -> None:
        try:
            data = outer.recv(_READ)
        except BlockingIOError:
            return
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()
        self._decrypt()

    def _encrypt(self, data: bytes) -> None:
        if data:
            self._tls.write(data)
        else:
            self._inner_ended = True
            with suppress(ssl.SSLError):  # it says that the other side has not ended yet
                self._tls.unwrap()
        self._outward += self._to_send.read()

    def _decrypt(self) -> None:
        try:
            while data := self._tls.read(_READ):
                self._inward += data
            self._outer_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._outer_ended = True
        self._outward += self._to_send.read()


def _send(connection: socket.socket, data: bytearray) -> None:
    """Send what goes without waiting."""
    if data:
        with suppress(BlockingIOError):
            del data[: connection.send(data)]
