"""Run a command in a container without a terminal and capture its output."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

from relay_tui.adapters.docker.attach import detach_key_conflicts, exit_code, shell_code
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection.http_stream import HttpStream
from relay_tui.adapters.docker.streams import FrameDecoder
from relay_tui.domain.errors import EngineError
from relay_tui.ports import ExecResult
from relay_tui.ports.task import TaskContext

_KEPT = 256 << 10
_CHUNK = 64 << 10
_TITLE = "The command cannot be run"
_REFUSED = b"OCI runtime exec failed"


def exec_capture(
    engine: EngineClient, container: Mapping[str, Any], command: Sequence[str], task: TaskContext, given: Path | None
) -> ExecResult:
    """Fulfil Runtime.ask() for a running container, given as its inspection."""
    with ExitStack() as stack:
        file = stack.enter_context(given.open("rb")) if given is not None else None
        with detach_key_conflicts(), engine.client(_TITLE) as client:
            made = client.exec_create(
                container["Id"], list(command), stdin=file is not None, environment={"LC_ALL": "C", "LANGUAGE": ""}
            )
        try:
            with detach_key_conflicts():
                path = f"/exec/{made['Id']}/start"
                stream = engine.stream(_TITLE, "POST", path, body={"Detach": False, "Tty": False}, hijack=True)
            stack.enter_context(stream)
            stack.enter_context(task.on_cancel(stream.close))
            kept = _Kept()
            with engine.translated(_TITLE):
                _converse(stream, kept, file, task)
        except EngineError as error:
            task.raise_if_cancelled()
            code = shell_code(error.detail)
            if type(error) is not EngineError or code is None:
                raise
            return ExecResult(code, b"", error.detail.encode())
    task.raise_if_cancelled()
    code = exit_code(engine, _TITLE, made["Id"])
    out, err = bytes(kept.out), bytes(kept.err)
    if out.startswith(_REFUSED) and code in (126, 127):
        return ExecResult(shell_code(out.decode(errors="replace")) or code, b"", out)
    return ExecResult(code, out, err)


class _Kept:
    """The last of what a command wrote."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self._frames = FrameDecoder()

    def take(self, data: bytes) -> None:
        """Sort what came."""
        for chunk in self._frames.feed(data):
            kept = self.err if chunk.stream == "stderr" else self.out
            kept += chunk.data
            del kept[:-_KEPT]


def _converse(stream: HttpStream, kept: _Kept, file: BinaryIO | None, task: TaskContext) -> None:
    """Send the file, take what comes, until the command closes its output or the watch says stop."""
    link = stream.socket
    kept.take(stream.take_ahead())
    link.setblocking(False)
    outgoing = memoryview(b"")
    size = os.fstat(file.fileno()).st_size if file is not None else 0
    if file is None:
        with suppress(OSError):
            link.shutdown(socket.SHUT_WR)
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ | (selectors.EVENT_WRITE if file is not None else 0))
        while not task.cancelled:
            for _, ready in selector.select(0.2):
                if ready & selectors.EVENT_READ:
                    data = _received(link)
                    if data == b"":
                        return
                    kept.take(data or b"")
                if ready & selectors.EVENT_WRITE and file is not None:
                    outgoing = outgoing or memoryview(file.read(_CHUNK))
                    if size and task.has_listener:
                        task.report("Handing over", file.tell() / size)
                    outgoing, more = _sent(link, outgoing)
                    if not more:
                        file = None
                        selector.modify(link, selectors.EVENT_READ)


def _received(link: socket.socket) -> bytes | None:
    """Return received bytes; b'' at the end of the stream, None if there are none."""
    try:
        return link.recv(_CHUNK)
    except BlockingIOError:
        return None


def _sent(link: socket.socket, outgoing: memoryview) -> tuple[memoryview, bool]:
    """Send data; return the unsent rest and whether more may follow. Nothing follows a closed reader."""
    if not outgoing:
        with suppress(OSError):
            link.shutdown(socket.SHUT_WR)
        return outgoing, False
    try:
        return outgoing[link.send(outgoing) :], True
    except BlockingIOError:
        return outgoing, True
    except (BrokenPipeError, ConnectionResetError):
        return memoryview(b""), False
