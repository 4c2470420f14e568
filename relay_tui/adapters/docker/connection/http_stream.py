"""Connections to the engine, and answers that are streams.

Streams do not go through docker-py: it reads an answer's head through a buffer and then hands out the socket
beneath it, so the first bytes of a fast command can be lost, and no other thread can end a read.
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
GREETING_SECONDS = 10.0  # one that takes longer over its name does not answer at all
_HEAD_LIMIT = 64 * 1024
_READ = 256 * 1024


class HttpStatusError(Exception):
    """The engine answered with an HTTP error; `words` are its own."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class _SshSocket(socket.socket):
    """Our end of a socket pair whose other end an ssh process copies to the far engine."""

    process: subprocess.Popen[bytes]

    def close(self) -> None:
        super().close()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)


def connect(address: Address) -> socket.socket:
    """A connected socket, TLS included. Raises OSError."""
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
    ours, theirs = socket.socketpair()
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS:.0f}"]
    command += ["-l", address.user] if address.user else []
    command += ["-p", str(address.port)] if address.port else []
    try:
        process = subprocess.Popen(
            [*command, "--", address.host, "docker", "system", "dial-stdio"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    wrapped = _SshSocket(fileno=ours.detach())
    wrapped.process = process
    return wrapped


class HttpStream:
    """An answer whose body has no length: read it until it ends, or until another thread closes it."""

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
        """Up to 256 KiB, as soon as there is anything; b"" at the end and after close(). Raises OSError."""
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
        """The body's JSON objects, one a line, each as soon as it is whole. Raises OSError when one makes no sense."""
        rest = b""
        while data := self.recv():
            *whole, rest = (rest + data).split(b"\n")
            for line in filter(bytes.strip, whole):
                yield _message(line)
        if rest.strip() and not self.closed:
            yield _message(rest)

    def close(self) -> None:
        """End it, and any read of it in another thread."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            if not self._reading:
                self.socket.close()

    def read_head(self) -> None:
        """Read status and headers. Raises RefusedError on an error status, OSError when the connection ends."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(_READ)
            if not piece or len(data) > _HEAD_LIMIT:
                raise ConnectionResetError("the connection ended before the answer")
            data += piece
        head, self._ahead = data.split(b"\r\n\r\n", 1)
        status_line, _, rest = head.partition(b"\r\n")
        fields = status_line.split(None, 2)
        if len(fields) < 2 or not fields[0].startswith(b"HTTP/") or not fields[1].isdigit():
            raise ConnectionResetError("what answers there does not speak HTTP")
        self.headers = http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n"))
        status = int(fields[1])
        if status >= 400:
            raise HttpStatusError(status, self._refusal())

    def _refusal(self) -> str:
        """The words of an error answer, from its JSON if it is that."""
        length = int(self.headers.get("Content-Length") or _HEAD_LIMIT)
        body = self.take_ahead()
        self.socket.settimeout(CONNECT_SECONDS)
        with suppress(TimeoutError):
            while len(body) < length and (piece := self.socket.recv(_READ)):
                body += piece
        text = body.decode(errors="replace").strip()
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(text)["message"])
        return text


def _message(line: bytes) -> dict[str, Any]:
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
    patience: float | None = None,
) -> HttpStream:
    """Send one request on a connection of its own, read the answer's head. Raises OSError, RefusedError.

    The head has `patience` seconds to come, ANSWER_SECONDS if None. It asks in HTTP/1.0, so the body comes without
    chunk marks; a hijacked connection needs 1.1 for its upgrade.
    """
    payload = b"" if body is None else json.dumps(body).encode()
    target = f"{path}?{urlencode(params)}" if params else path
    lines = [f"{method} {target} HTTP/{'1.1' if hijack else '1.0'}", "Host: docker", f"Content-Length: {len(payload)}"]
    lines += ["Content-Type: application/json"] if body is not None else []
    lines += ["Connection: Upgrade", "Upgrade: tcp"] if hijack else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    stream = HttpStream(connect(address))
    try:
        stream.socket.settimeout(ANSWER_SECONDS if patience is None else patience)
        stream.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + payload)
        stream.read_head()
        stream.socket.settimeout(None)
    except BaseException:
        stream.close()
        raise
    return stream


def socket_owner(address: Address) -> int | None:
    """The uid that owns a unix address's socket; None for any other address."""
    if address.scheme != "unix":
        return None
    try:
        return Path(address.path).stat().st_uid
    except OSError:
        return None
