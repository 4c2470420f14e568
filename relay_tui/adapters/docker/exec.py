"""Run a command in a container without a terminal and capture its output."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

from relay_tui.adapters.docker.attach import exit_code, not_running_as_conflict, shell_code
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection.http_stream import HttpStream
from relay_tui.adapters.docker.streams import FrameDecoder
from relay_tui.domain.errors import EngineError
from relay_tui.ports import ExecResult
from relay_tui.ports.task import TaskContext

_OUTPUT_LIMIT = 256 << 10
_CHUNK = 64 << 10
_TITLE = "Cannot run the command"
_EXEC_FAILED = b"OCI runtime exec failed"


def exec_capture(
    engine: EngineClient, container: Mapping[str, Any], command: Sequence[str], task: TaskContext, given: Path | None
) -> ExecResult:
    """Implement Runtime.exec_capture(). `container` is the inspection of a running container."""
    with ExitStack() as stack:
        file = stack.enter_context(given.open("rb")) if given is not None else None
        with not_running_as_conflict(), engine.client(_TITLE) as client:
            created = client.exec_create(
                container["Id"], list(command), stdin=file is not None, environment={"LC_ALL": "C", "LANGUAGE": ""}
            )
        try:
            with not_running_as_conflict():
                path = f"/exec/{created['Id']}/start"
                stream = engine.stream(_TITLE, "POST", path, body={"Detach": False, "Tty": False}, hijack=True)
            stack.enter_context(stream)
            stack.enter_context(task.on_cancel(stream.close))
            output = _CapturedOutput()
            with engine.translated(_TITLE):
                _exchange(stream, output, file, task)
        except EngineError as error:
            task.raise_if_cancelled()
            code = shell_code(error.detail)
            if type(error) is not EngineError or code is None:
                raise
            return ExecResult(code, b"", error.detail.encode())
    task.raise_if_cancelled()
    code = exit_code(engine, _TITLE, created["Id"])
    out, err = bytes(output.out), bytes(output.err)
    if out.startswith(_EXEC_FAILED) and code in (126, 127):
        return ExecResult(shell_code(out.decode(errors="replace")) or code, b"", out)
    return ExecResult(code, out, err)


class _CapturedOutput:
    """Tail of a command's output, bounded for each stream."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self._frames = FrameDecoder()

    def feed(self, data: bytes) -> None:
        """Append received bytes to the stream that they belong to."""
        for chunk in self._frames.feed(data):
            stream = self.err if chunk.stream == "stderr" else self.out
            stream += chunk.data
            del stream[:-_OUTPUT_LIMIT]


def _exchange(stream: HttpStream, output: _CapturedOutput, file: BinaryIO | None, task: TaskContext) -> None:
    """Send the file and receive output, until the command closes its output or the task is cancelled."""
    link = stream.socket
    output.feed(stream.take_ahead())
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
                    data = _receive(link)
                    if data == b"":
                        return
                    output.feed(data or b"")
                if ready & selectors.EVENT_WRITE and file is not None:
                    outgoing = outgoing or memoryview(file.read(_CHUNK))
                    if size and task.has_listener:
                        task.report("Sending input", file.tell() / size)
                    outgoing, more = _send(link, outgoing)
                    if not more:
                        file = None
                        selector.modify(link, selectors.EVENT_READ)


def _receive(link: socket.socket) -> bytes | None:
    """Return received bytes; b'' at the end of the stream, None if there are none."""
    try:
        return link.recv(_CHUNK)
    except BlockingIOError:
        return None


def _send(link: socket.socket, outgoing: memoryview) -> tuple[memoryview, bool]:
    """Send data. Return the unsent rest, and whether more can be sent: not after the reader has closed its end."""
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
