"""Lock files: one process, and one thread of it, works on a project or session at a time."""

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
"""How long a holder that has just taken a lock gets to write its name into it, before it is called nameless."""


class Holder(NamedTuple):
    """Who holds a lock, as its file says."""

    pid: int
    purpose: str

    def refusal(self) -> ConflictError:
        if self.pid == os.getpid():
            words = f"by this relay, pid {self.pid}: {self.purpose}"
            return ConflictError("This is being worked on already", words, "Wait for it to end.")
        return _refusal(f"pid {self.pid}: {self.purpose}")


def _refusal(detail: str) -> ConflictError:
    return ConflictError("Another relay is working on this", detail, "Wait for it to end, or stop that process.")


class FileLocks:
    """The `Locks` port: flock on `<directory>/<key>.lock`, in which the holder's pid and purpose are written.

    The kernel releases a lock when its process dies, however it dies; children do not inherit it. The file goes when
    its lock is released; one that a killed process left is taken over by the next holder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def hold(self, key: str, purpose: str) -> Iterator[None]:
        """Hold the lock within the block. Raises ConflictError that names the holder; FileSystemError."""
        path = self._path(key)
        try:
            descriptor = self._take(path)
        except OSError as error:
            raise filesystem_error(error, "A lock file cannot be made", path) from error
        try:
            _introduce(descriptor, purpose)
            yield
        finally:
            _release(descriptor, path)

    def holder(self, key: str) -> str:
        """Who holds it ('relay session create, pid 4711'), or ''. Only reads, so it never stands in a hold()'s way."""
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
                raise holder.refusal()
            if time.monotonic() > deadline:
                raise _refusal("it has not said who it is")
            time.sleep(0.002)
        return descriptor

    def _try(self, path: Path, deadline: float) -> int | None:
        """The same as below, in a directory that may go at any moment: whoever leaves it empty may remove it."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _try(path)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            return None


def _try(path: Path) -> int | None:
    """The descriptor that holds the lock, or None if another one does (or removed the file at this moment)."""
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
    """Whether the open file is still the one that bears the name: a lock on a removed file locks nobody out."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _introduce(descriptor: int, purpose: str) -> None:
    """Write who holds the lock into its file."""
    pid = os.getpid()
    words = json.dumps({"pid": pid, "started": _started(pid), "purpose": " ".join(purpose.split())}).encode()
    # Removing sessions is what one does when the disk is full: a lock without a name locks as well.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, words, 0)


def _release(descriptor: int, path: Path) -> None:
    try:
        with suppress(OSError):
            if _is_at(descriptor, path):
                path.unlink()
        # Said aloud, since closing alone would leave it with a child that another thread is just forking.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def read_holder(path: Path) -> Holder | None:
    """Whom the lock file names, if that process still lives; a number used anew tells itself by its start time."""
    try:
        if not path.is_file():  # a pipe would keep its reader waiting
            return None
        found = json.loads(path.read_bytes())
        pid, started, purpose = found["pid"], found["started"], found["purpose"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise filesystem_error(error, "A lock file cannot be read", path) from error
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(pid, int) and isinstance(purpose, str)):
        return None
    return Holder(pid, purpose) if started and _started(pid) == started else None


def _started(pid: int) -> str:
    """When a living process began (clock ticks since boot, as /proc tells it), or '' when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = stat[stat.rindex(b")") + 1 :].split()
    return "" if fields[0] in b"ZX" else fields[19].decode()
