"""Short commands that only look: run without a terminal, their output bounded, killed with all they started."""

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

_KEPT = 64 << 10  # bytes of each stream; a server can send any amount of them
_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}


def run_command(
    command: Sequence[str], task: TaskContext, *, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> CommandResult:
    """Run it to its end. Raises CancelledError once the whole process group is dead, FileSystemError."""
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
        words = error.strerror or str(error)
        raise FileSystemError(
            f"{command[0]} cannot be started", words, "Install it, or fix its permissions."
        ) from error
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
    """End all of the group; what only looks leaves nothing half done."""
    if process.returncode is None:  # reaped, its number may be somebody else's
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """The beginning of both streams; the rest is read and dropped."""
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
                kept[key.data] += chunk[: _KEPT - len(kept[key.data])]
    out, err = kept.values()
    return bytes(out), bytes(err)
