"""Atomic and durable replacement of files, and errors of the file system in words."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from relay_tui.errors import FileSystemError

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_HINTS = {
    errno.EROFS: "Make the file system writable again, or choose another data directory with --data-dir.",
    errno.EACCES: "It has to be writable by you; choose another data directory with --data-dir.",
    errno.EPERM: "It has to be writable by you; choose another data directory with --data-dir.",
}
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TITLES = {errno.ENOSPC: "The disk is full", errno.EDQUOT: "The disk quota is used up"}


def refused(error: OSError, title: str, path: Path, hint: str = "") -> FileSystemError:
    """Return the error to raise for `error`. A full disk has its own title, all other errors have `title`."""
    words = f"{error.strerror or error}: {error.filename or path}"
    if error.errno in _TITLES:
        hint = f"Free some space for {path.parent}, then try again."
        return FileSystemError(_TITLES[error.errno], f"{title}: {words}", hint)
    return FileSystemError(title, words, hint or _HINTS.get(error.errno or 0, ""))


def replace(path: Path, data: Iterable[bytes], *, keep: Path, after: int, into: Path | None = None) -> os.stat_result:
    """Make the pieces of `data` the content of `path` (0600), keep the old file as `keep`, and return the new stat.

    At every instant `path` is either the old file or the new one. The new mtime is later than `after` (ns): the clock
    of a file system may have the same value for two fast writes. `into` is a file with enough blocks that becomes the
    new file, so that a full disk is no obstacle. Raises OSError; then nothing has changed.
    """
    staged = path.with_name(f"{path.name}.tmp")
    try:
        stat = _write_synced(staged, data, after, into)
        keep_copy(path, keep)
        staged.replace(path)
    finally:
        with suppress(OSError):
            staged.unlink()
    _sync_directory(path.parent)
    return stat


def _write_synced(path: Path, data: Iterable[bytes], after: int = 0, into: Path | None = None) -> os.stat_result:
    """Write a new file and wait until it is on the disk. A file that a killed writer left is removed first."""
    path.unlink(missing_ok=True)
    if into is not None:
        into.rename(path)
    flags = os.O_WRONLY if into is not None else os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.writelines(data)
        file.flush()
        if into is not None:
            file.truncate()
        moment = max(time.time_ns(), after + 1)
        os.utime(file.fileno(), ns=(moment, moment))
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


def keep_copy(path: Path, keep: Path) -> None:
    """Give the file at `path`, if there is one, the second name `keep`; without hard links, copy it. Raises OSError."""
    spare = keep.with_name(f"{keep.name}.tmp")
    spare.unlink(missing_ok=True)
    try:
        spare.hardlink_to(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _write_synced(spare, [path.read_bytes()])
    spare.replace(keep)
    spare.unlink(missing_ok=True)  # rename leaves both names when they are one file already


def _sync_directory(directory: Path) -> None:
    """Wait until the entries of the directory are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a directory
            raise
    finally:
        os.close(descriptor)
