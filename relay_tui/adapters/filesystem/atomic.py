"""Files that are replaced whole, atomically and durably, and what the file system's refusals mean."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay_tui.domain.errors import FileSystemError

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


_HINTS = {
    errno.EROFS: "Make the file system writable again, or choose another data directory with --data-dir.",
    errno.EACCES: "It has to be writable by you; choose another data directory with --data-dir.",
    errno.EPERM: "It has to be writable by you; choose another data directory with --data-dir.",
}


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


_TITLES = {errno.ENOSPC: "The disk is full", errno.EDQUOT: "The disk quota is used up"}


def filesystem_error(error: OSError, title: str, path: Path, hint: str = "") -> FileSystemError:
    """The error to raise for `error`: a full disk is called that, all else gets `title`; its words are the detail."""
    words = f"{error.strerror or error}: {error.filename or path}"
    if error.errno in _TITLES:
        hint = f"Free some space for {path.parent}, then try again."
        return FileSystemError(_TITLES[error.errno], f"{title}: {words}", hint)
    return FileSystemError(title, words, hint or _HINTS.get(error.errno or 0, ""))


def from_os(error: OSError) -> FileSystemError:
    """The error for a file operation of our own that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FileSystemError("The disk is full", str(error), "Free some space and try again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FileSystemError(
            "The data directory cannot be written", str(error), "Check who owns it, and its permissions."
        )
    return FileSystemError("The clone cannot be put in its place", str(error), "Look at the directory, then try again.")


def replace_file(path: Path, data: bytes, *, keep: Path, after: int, into: Path | None = None) -> os.stat_result:
    """Make `data` the content of `path` (0600), keeping what was there as `keep`; answer the new file's stat.

    At every instant `path` is whole, the old file or the new one. Its mtime is made later than `after` (ns), since
    the clock of a file system may stand still between two fast writes. Raises OSError, and then nothing has changed.
    `into` is a file that is used up for it, with blocks enough: then a full disk takes it.
    """
    staged = path.with_name(f"{path.name}.tmp")
    try:
        stat = _write_synced(staged, data, after, into)
        _keep(path, keep)
        staged.replace(path)
    finally:
        with suppress(OSError):
            staged.unlink()
    _sync_directory(path.parent)
    return stat


def _write_synced(path: Path, data: bytes, after: int = 0, into: Path | None = None) -> os.stat_result:
    """Write a new file and wait until the disk has it. A leftover of a killed writer gives way."""
    path.unlink(missing_ok=True)
    if into is not None:
        into.rename(path)
    flags = os.O_WRONLY if into is not None else os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        if into is not None:
            file.truncate()
        moment = max(time.time_ns(), after + 1)
        os.utime(file.fileno(), ns=(moment, moment))
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


def _keep(path: Path, keep: Path) -> None:
    """Give the file at `path`, if there is one, the second name `keep` (a copy where hard links do not work)."""
    spare = keep.with_name(f"{keep.name}.tmp")
    spare.unlink(missing_ok=True)
    try:
        spare.hardlink_to(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _write_synced(spare, path.read_bytes())
    spare.replace(keep)
    spare.unlink(missing_ok=True)  # rename leaves both names when they are one file already


def _sync_directory(directory: Path) -> None:
    """Wait until the disk has the directory's entries."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a directory
            raise
    finally:
        os.close(descriptor)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A free name beside `target`. The block fills it; then it becomes `target`, or vanishes if the block failed.

    `target` may be an empty directory. Raises FileSystemError.
    """
    path = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    made_parent = not target.parent.exists()
    placed = False
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            words = "It exists, and is not an empty directory."
            raise FileSystemError(f"{target} is in the way", words, "Move it away, then try again.")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield path
        path.rename(target)
        placed = True
    except OSError as error:
        raise from_os(error) from error
    except FileSystemError as error:  # git says what the disk refused, but seldom where
        if str(target) not in f"{error.title} {error.detail}":
            error.detail = f"{error.detail}\nin {target}".strip()
        raise
    finally:
        if not placed:
            shutil.rmtree(path, ignore_errors=True)
            if made_parent:
                with contextlib.suppress(OSError):
                    target.parent.rmdir()
