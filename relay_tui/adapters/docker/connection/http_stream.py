"""Connections to the engine, and HTTP responses that are streams.

Streams do not use docker-py. It reads the response head through a buffer and then returns the socket below it, so the
first bytes of a fast command can be lost. Another thread cannot end a read of that socket either.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from relay_tui.adapters.docker.connection import tls
from relay_tui.adapters.docker.connection.address import Address

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
GREETING_SECONDS = 10.0  # an engine that needs longer for a ping counts as unreachable
_HEAD_LIMIT = 64 * 1024
_READ = 256 * 1024


class HttpStatusError(Exception):
    """The engine replied with an HTTP error. `message` is its own text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _SshSocket(socket.socket):
    """relay's end of a socket pair. An ssh process copies the other end to the remote engine."""

    process: subprocess.Popen[bytes]

    def close(self) -> None:
        super().close()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)


def connect(address: Address) -> socket.socket:
    """Return a connected socket, after the TLS handshake if the address uses TLS. Raises OSError."""
    if address.scheme == "ssh":
        return _connect_ssh(address)
    if address.scheme == "unix":
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            plain.settimeout(CONNECT_SECONDS)
            plain.connect(address.path)
        except OSError:
            plain.close()
            raise
    else:
        plain = socket.create_connection((address.host, address.port), timeout=CONNECT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if address.tls is None:
        return plain
    try:
        return tls.wrap(plain, address.tls.context(), address.host)
    except OSError:
        plain.close()
        raise


def _connect_ssh(address: Address) -> socket.socket:
    near, far = socket.socketpair()
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS:.0f}"]
    command += ["-l", address.user] if address.user else []
    command += ["-p", str(address.port)] if address.port else []
    try:
        process = subprocess.Popen(
            [*command, "--", address.host, "docker", "system", "dial-stdio"],
            stdin=far.fileno(),
            stdout=far.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        near.close()
        raise
    finally:
        far.close()
    wrapped = _SshSocket(fileno=near.detach())
    wrapped.process = process
    return wrapped


class HttpStream:
    """HTTP response whose body has no length. Its reader stops at the end, or when another thread calls close()."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.headers = Message()
        self._ahead = b""
        self._lock = threading.Lock()
        self._reading = False
        self.closed = False

    def __enter__(self) -> HttpStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_ahead(self) -> bytes:
        """Return the bytes that were received together with the head. Call this before reading the socket directly."""
        ahead, self._ahead = self._ahead, b""
        return ahead

    def recv(self) -> bytes:
        """Wait for data and return up to 256 KiB; b"" at the end and after close(). Raises OSError."""
        if self._ahead:
            return self.take_ahead()
        with self._lock:
            if self.closed:
                return b""
            self._reading = True
        try:
            return self.socket.recv(_READ)
        except OSError:
            if self.closed:
                return b""
            raise
        finally:
            with self._lock:
                self._reading = False
                if self.closed:
                    self.socket.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the body's JSON objects, one per line, as soon as each is complete. Raises OSError for invalid JSON."""
        rest = b""
        while data := self.recv():
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(bytes.strip, lines):
                yield _parse_message(line)
        if rest.strip() and not self.closed:
            yield _parse_message(rest)

    def close(self) -> None:
        """Close the stream. A read in another thread ends too."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            if not self._reading:
                self.socket.close()

    def read_head(self) -> None:
        """Read status and headers. Raises HttpStatusError for an error status, OSError if the connection ends."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = self.socket.recv(_READ)
            if not chunk or len(data) > _HEAD_LIMIT:
                raise ConnectionResetError("the connection ended before the response")
            data += chunk
        head, self._ahead = data.split(b"\r\n\r\n", 1)
        status_line, _, rest = head.partition(b"\r\n")
        fields = status_line.split(None, 2)
        if len(fields) < 2 or not fields[0].startswith(b"HTTP/") or not fields[1].isdigit():
            raise ConnectionResetError("the program at this address does not speak HTTP")
        self.headers = http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n"))
        status = int(fields[1])
        if status >= 400:
            raise HttpStatusError(status, self._error_message())

    def _error_message(self) -> str:
        """Return the message of an error response: the field of its JSON, or its whole text."""
        length = int(self.headers.get("Content-Length") or _HEAD_LIMIT)
        body = self.take_ahead()
        self.socket.settimeout(CONNECT_SECONDS)
        with suppress(TimeoutError):
            while len(body) < length and (chunk := self.socket.recv(_READ)):
                body += chunk
        text = body.decode(errors="replace").strip()
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(text)["message"])
        return text


def _parse_message(line: bytes) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(line))
    except ValueError as error:
        raise ConnectionResetError("the connection ended within a message") from error


def open_stream(
    address: Address,
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    hijack: bool = False,
    timeout: float | None = None,
) -> HttpStream:
    """Send one request on a new connection and read the response head. Raises OSError, HttpStatusError.

    `timeout` is the time limit for the head in seconds, ANSWER_SECONDS if None. The request uses HTTP/1.0, so that
    the body has no chunk headers. A hijacked connection needs 1.1 for its upgrade.
    """
    payload = b"" if body is None else json.dumps(body).encode()
    target = f"{path}?{urlencode(params)}" if params else path
    lines = [f"{method} {target} HTTP/{'1.1' if hijack else '1.0'}", "Host: docker", f"Content-Length: {len(payload)}"]
    lines += ["Content-Type: application/json"] if body is not None else []
    lines += ["Connection: Upgrade", "Upgrade: tcp"] if hijack else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    stream = HttpStream(connect(address))
    try:
        stream.socket.settimeout(ANSWER_SECONDS if timeout is None else timeout)
        stream.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + payload)
        stream.read_head()
        stream.socket.settimeout(None)
    except BaseException:
        stream.close()
        raise
    return stream


def socket_owner(address: Address) -> int | None:
    """Return the uid of the socket's owner; None if the address is no unix address or the socket is not accessible."""
    if address.scheme != "unix":
        return None
    try:
        return Path(address.path).stat().st_uid
    except OSError:
        return None
