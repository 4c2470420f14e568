"""Directory of one process session below the data directory. Files are read and replaced as a whole."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay_tui.ports import RunEnd

PREFIX = "process-"
"""Begins the id by which services know a session's process, where a container's is a hash."""


_ROOM = 8192


LISTENERS = ".listeners"
"""Holds the sockets of relays that want to hear of changes."""


@dataclass(frozen=True, slots=True)
class SessionDir:
    """Directory of one process session. Like a container, it is deleted with its log and home."""

    root: Path

    @property
    def spec(self) -> Path:
        """Specification of the process, written once at creation."""
        return self.root / "spec.json"

    @property
    def state(self) -> Path:
        """State of the current or last run, written only by the supervisor."""
        return self.root / "state.json"

    @property
    def log(self) -> Path:
        """Directory of the log's segments."""
        return self.root / "log"

    @property
    def home(self) -> Path:
        """HOME of the command."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """/tmp of a sandboxed command."""
        return self.root / "tmp"

    @property
    def lock(self) -> Path:
        """Lock file that the supervisor holds while it runs."""
        return self.root / "lock"

    @property
    def complaints(self) -> Path:
        """Error output of the supervisor, usually empty."""
        return self.root / "supervisor.err"

    @property
    def socket_name(self) -> str:
        """Name of the supervisor's socket. Use SocketDir for the address, because the path may be too long."""
        return "sock"


def read(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing or incomplete."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, values: dict[str, Any], *, kept: bool = False) -> None:
    """Replace a file (0600) by `values` atomically. A full disk uses the blocks that reserve_space() `kept`. Raises
    OSError.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    data = json.dumps(values).encode()
    try:
        try:
            _fill(staged, data, os.O_CREAT | os.O_TRUNC)
        except OSError as error:
            if not kept or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _spare(path).rename(staged)
            _fill(staged, data, 0)
        staged.replace(path)
    finally:
        with suppress(OSError):
            staged.unlink()


def reserve_space(path: Path) -> None:
    """Reserve the disk blocks that write() may need on a full disk. Raises OSError."""
    descriptor = os.open(_spare(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _ROOM)
    finally:
        os.close(descriptor)


def _spare(path: Path) -> Path:
    return path.with_name(f".{path.name}.spare")


def _fill(path: Path, data: bytes, flags: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | flags, 0o600), "wb") as file:
        file.write(data)
        file.truncate()


class SocketDir:
    """Socket addresses in a directory with a path of any length. An address can have at most 107 bytes."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> SocketDir:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def __call__(self, name: str) -> str:
        """Return the address of the socket `name`."""
        return f"/proc/self/fd/{self._descriptor}/{name}"


KEPT = 8
"""Number of kept run ends, for runs that were too short to be observed."""


def carry_over_history(state: Mapping[str, Any] | None, by: str = "") -> list[dict[str, Any]]:
    """Return the run ends that the record of a new run keeps. `by`: latest end of a run without an exit state."""
    if state is None:
        return []
    before = [end for end in state.get("before") or [] if isinstance(end, dict)]
    if state.get("started_at"):
        at = state.get("finished_at") or by
        before.append({"began": state["started_at"], "at": at, "exit_code": state.get("exit_code")})
    return before[-KEPT:]


def runs_since(state: Mapping[str, Any] | None, since: str) -> list[RunEnd]:
    """Return the runs after `since`, a time in the state's format."""
    found = []
    for end in carry_over_history(state):
        at, began, code = str(end.get("at") or ""), str(end.get("began") or ""), end.get("exit_code")
        if at > since:
            found.append(RunEnd(at, code if isinstance(code, int) else None, began if began > since else ""))
    return found
