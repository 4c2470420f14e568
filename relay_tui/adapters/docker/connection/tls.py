"""TLS connection that is used through a plain socket.

The sockets of the ssl module cannot close only the sending side: once half-closed, they return ciphertext. `run` has
to close only that side at the end of its stdin. So a thread handles TLS, and the callers use a plain socket.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress

_READ = 64 * 1024
_BUFFER_LIMIT = 256 * 1024


def wrap(outer: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    """Do the TLS handshake on a connected socket; return a plain socket that now owns it. Raises OSError."""
    link = _Link(outer, context, host)
    link.handshake()
    plain, link.inner = socket.socketpair()
    threading.Thread(target=link.run, name="engine-tls", daemon=True).start()
    return plain


class _Link:
    """Byte copier between a plain socket (inner) and an encrypted one (outer)."""

    inner: socket.socket

    def __init__(self, outer: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._outward, self._inward = bytearray(), bytearray()
        self._inner_ended = self._outer_ended = False

    def handshake(self) -> None:
        """Perform the handshake. The timeout of the outer socket limits it."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._outer.sendall(self._to_send.read())
                data = self._outer.recv(_READ)
                if not data:
                    raise ConnectionResetError("the connection ended during the TLS handshake") from None
                self._received.write(data)
            else:
                self._outer.sendall(self._to_send.read())
                return

    def run(self) -> None:
        """Copy bytes until either side has ended."""
        with self.inner, self._outer, suppress(OSError):
            self.inner.setblocking(False)
            self._outer.setblocking(False)
            self._decrypt()
            while self._step():
                pass

    def _step(self) -> bool:
        """Wait until a socket is ready, and copy its bytes. Return False once the connection has ended."""
        poller = select.poll()
        inner, outer = self.inner.fileno(), self._outer.fileno()
        is_open = not self._inner_ended and len(self._outward) < _BUFFER_LIMIT
        poller.register(inner, (select.POLLIN if is_open else 0) | (select.POLLOUT if self._inward else 0))
        is_open = not self._outer_ended and len(self._inward) < _BUFFER_LIMIT
        events = (select.POLLIN if is_open else 0) | (select.POLLOUT if self._outward else 0)
        if events:
            poller.register(outer, events)
        ready = dict(poller.poll())
        if ready.get(inner, 0) & (select.POLLHUP | select.POLLERR):
            return False
        if ready.get(inner, 0) & select.POLLIN:
            self._encrypt(self.inner.recv(_READ))
        if is_open and ready.get(outer):
            self._receive(self._outer)
        _send(self._outer, self._outward)
        _send(self.inner, self._inward)
        return not (self._outer_ended and not self._inward)

    def _receive(self, outer: socket.socket) -> None:
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
            with suppress(ssl.SSLError):  # raised because the other side has not ended yet
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
    """Send the bytes that the socket accepts without blocking."""
    if data:
        with suppress(BlockingIOError):
            del data[: connection.send(data)]
