"""Short read-only commands: no terminal, bounded output. They are killed with all their child processes."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from relay_tui.domain.errors import FileSystemError
from relay_tui.ports.host import CommandResult
from relay_tui.ports.task import TaskContext

_OUTPUT_LIMIT = 64 << 10  # bytes of each stream; a server can send an unlimited amount
_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}


def run_command(
    command: Sequence[str], task: TaskContext, *, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> CommandResult:
    """Run a command to its end. A cancel kills its process group and raises CancelledError; also FileSystemError."""
    task.raise_if_cancelled()
    try:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=env if env is not None else os.environ | _ENGLISH,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileSystemError(f"Cannot start {command[0]}", reason, "Install it, or fix its permissions.") from error
    with process:
        try:
            with task.on_cancel(lambda: _kill(process)):
                out, err = _read(process)
                process.wait()
        finally:
            _kill(process)
    task.raise_if_cancelled()
    return CommandResult(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group. This is safe because the command only reads."""
    if process.returncode is None:  # after the reap its pid can belong to another process
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Return the beginning of both streams. The rest is read and discarded."""
    kept: dict[IO[bytes], bytearray] = {}
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            kept[stream] = bytearray()
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                kept[key.data] += chunk[: _OUTPUT_LIMIT - len(kept[key.data])]
    out, err = kept.values()
    return bytes(out), bytes(err)
