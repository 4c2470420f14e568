"""Atomic, durable replacement of files and directories, and translation of OS errors."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay_tui.domain.errors import FileSystemError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a disk that is full for this user."""

USER_PATH_HINT = "Choose a directory that you can write to."
"""Hint for a path that the user named, in place of the hint about relay's data directory."""

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_TITLES = {errno.ENOSPC: "The disk is full", errno.EDQUOT: "The disk quota is used up"}
_HINTS = {
    errno.EROFS: "Make the file system writable again, or choose another data directory with --data-dir.",
    errno.EACCES: "It has to be writable by you; choose another data directory with --data-dir.",
    errno.EPERM: "It has to be writable by you; choose another data directory with --data-dir.",
}


def filesystem_error(error: OSError, title: str, path: Path, hint: str = "") -> FileSystemError:
    """Return the error to raise for `error`.

    The title is `title`, or "The disk is full". The detail is the operating system's message with the path: the
    one that the failed call named, else `path`. Without a `hint` the error names the data directory's option.
    """
    words = f"{error.strerror or error}: {error.filename or path}"
    if error.errno in _TITLES:
        hint = f"Free some space for {path.parent}, then try again."
        return FileSystemError(_TITLES[error.errno], f"{title}: {words}", hint)
    return FileSystemError(title, words, hint or _HINTS.get(error.errno or 0, ""))


@contextmanager
def translate_os_errors(title: str, path: Path, hint: str = "") -> Iterator[None]:
    """Raise `filesystem_error` with these arguments for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise filesystem_error(error, title, path, hint) from error


def replace_file(
    path: Path, data: Iterable[bytes], *, keep: Path, after: int, into: Path | None = None
) -> os.stat_result:
    """Make `data` the content of `path` (0600), keep the previous file as `keep`, return the new file's stat.

    `path` is complete at every instant: the old file or the new one. The new mtime is later than `after` (ns),
    because a file system's clock may not advance between two fast writes. `into` is a reserve file whose blocks
    are reused for the new content, so that the write succeeds on a full disk.
    Raises OSError, and then nothing has changed.
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
    """Write a new file and sync it to disk. A file that a killed writer left at `path` is deleted first."""
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
    """Make `keep` a hard link to the file at `path`, if there is one. Copy it where hard links are not supported."""
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
    spare.unlink(missing_ok=True)  # rename(2) leaves both names in place when they are the same file


def _sync_directory(directory: Path) -> None:
    """Sync the directory's entries to disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # from network file systems that cannot sync a directory
            raise
    finally:
        os.close(descriptor)


@contextmanager
def atomic_directory(target: Path, title: str = "", hint: str = "") -> Iterator[Path]:
    """Yield an unused name beside `target`, rename it to `target` after the block, delete it if the block failed.

    `target` may be an empty directory. Raises FileSystemError, with `title` and `hint` for an OSError.
    """
    path = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    made_parent = not os.path.lexists(target.parent)
    is_complete = False
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise FileSystemError(
                f"{target} is not an empty directory", "There is something at this path.", "Move it, then try again."
            )
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield path
        path.rename(target)
        is_complete = True
    except OSError as error:
        raise filesystem_error(error, title or f"Cannot create {target}", target, hint) from error
    except FileSystemError as error:  # git reports the cause, but seldom the path
        if str(target) not in f"{error.title} {error.detail}":
            error.detail = f"{error.detail}\nin {target}".strip()
        raise
    finally:
        if not is_complete:
            shutil.rmtree(path, ignore_errors=True)
            if made_parent:
                with suppress(OSError):
                    target.parent.rmdir()
