"""Lock files: at most one thread of one process works on a project or session at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.domain.errors import ConflictError

_INTRODUCTION_SECONDS = 0.2
"""Seconds that a new holder has to write its pid and purpose into the file. Afterwards it is reported without them."""


class Holder(NamedTuple):
    """Process that holds a lock, as recorded in the lock file."""

    pid: int
    purpose: str

    def conflict(self) -> ConflictError:
        if self.pid == os.getpid():
            words = f"by this relay, pid {self.pid}: {self.purpose}"
            return ConflictError("This is being worked on already", words, "Wait for it to end.")
        return _conflict(f"pid {self.pid}: {self.purpose}")


def _conflict(detail: str) -> ConflictError:
    return ConflictError("Another relay is working on this", detail, "Wait for it to end, or stop that process.")


class FileLocks:
    """`Locks` port: flock on `<directory>/<key>.lock`, a file that records the holder's pid and purpose.

    The kernel releases a lock when its process ends for any reason; child processes do not inherit it. The file is
    deleted on release. A file that a killed process left is reused by the next holder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def hold(self, key: str, purpose: str) -> Iterator[None]:
        """Hold the lock within the block. Raises ConflictError, which names the holder, and FileSystemError."""
        path = self._path(key)
        try:
            descriptor = self._take(path)
        except OSError as error:
            raise filesystem_error(error, "Cannot create a lock file", path) from error
        try:
            _write_holder(descriptor, purpose)
            yield
        finally:
            _release(descriptor, path)

    def holder(self, key: str) -> str:
        """Return the holder ('relay session create, pid 4711'), or ''. Only reads, so it never blocks a hold()."""
        found = read_holder(self._path(key))
        return f"{found.purpose}, pid {found.pid}" if found else ""

    def _path(self, key: str) -> Path:
        if not key or "/" in key or "\0" in key or key.startswith("."):
            raise ValueError(f"no key for a lock file: {key!r}")
        return self._directory / f"{key}.lock"

    def _take(self, path: Path) -> int:
        deadline = time.monotonic() + _INTRODUCTION_SECONDS
        while (descriptor := self._try(path, deadline)) is None:
            holder = read_holder(path)
            if holder is not None:
                raise holder.conflict()
            if time.monotonic() > deadline:
                raise _conflict("The lock file does not name its holder.")
            time.sleep(0.002)
        return descriptor

    def _try(self, path: Path, deadline: float) -> int | None:
        """Try once, and create the directory. Another relay may remove the directory when it is empty."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _try(path)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            return None


def _try(path: Path) -> int | None:
    """Return a descriptor that holds the lock. None if another holder has it, or has just deleted the file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether `path` still names the open file. A lock on a deleted file would exclude no other process."""
    try:
        current = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), current)


def _write_holder(descriptor: int, purpose: str) -> None:
    """Write this process's pid, start time and purpose into the lock file."""
    pid = os.getpid()
    words = json.dumps({"pid": pid, "started": _started(pid), "purpose": " ".join(purpose.split())}).encode()
    # Users remove sessions when the disk is full, so a lock must work without its holder on record.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, words, 0)


def _release(descriptor: int, path: Path) -> None:
    try:
        with suppress(OSError):
            if _is_at(descriptor, path):
                path.unlink()
        # explicit: close() alone would leave the lock with a child that another thread forks at this moment
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def read_holder(path: Path) -> Holder | None:
    """Return the holder that the lock file names if it still runs. The start time detects a reused pid."""
    try:
        if not path.is_file():  # opening a pipe would block
            return None
        found = json.loads(path.read_bytes())
        pid, started, purpose = found["pid"], found["started"], found["purpose"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise filesystem_error(error, "Cannot read a lock file", path) from error
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(pid, int) and isinstance(purpose, str)):
        return None
    return Holder(pid, purpose) if started and _started(pid) == started else None


def _started(pid: int) -> str:
    """Return the start time of a running process (clock ticks since boot, from /proc), '' if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = stat[stat.rindex(b")") + 1 :].split()
    return "" if fields[0] in b"ZX" else fields[19].decode()
