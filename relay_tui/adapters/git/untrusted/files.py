"""Reading files that a session's container may have made, and may be changing while they are read.

Every name is opened below a directory that is already open, never through a symlink, and never waits: what is not
a real directory or a regular file of a modest size is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay_tui.domain.errors import UnknownStateError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISREG, "a file"),
)


def read_error(reason: str) -> UnknownStateError:
    """The error for a clone that nothing is said about, and why."""
    return UnknownStateError(
        "What is in the session's clone cannot be told",
        reason,
        "It counts as unsaved work. Open a shell in the session to look at it.",
    )


@contextmanager
def directory(name: str | Path, parent: int | None = None, *, shown: str = "") -> Iterator[int]:
    """Open a real directory, below `parent` if given; refuse anything else. `shown` is what errors call it."""
    descriptor = open_directory(name, parent, shown=shown)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(name: str | Path, parent: int | None = None, *, shown: str = "") -> int:
    """The same, for the caller to close."""
    shown = shown or str(name)
    try:
        return os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=parent)
    except FileNotFoundError as error:
        raise read_error(f"{shown} is not there.") from error
    except OSError as error:
        raise read_error(_instead(name, parent, shown, "a directory", error)) from error


def open_file(name: str, parent: int, *, shown: str = "") -> int:
    """Open a regular file below `parent`, for the caller to close; refuse anything else. FileNotFoundError if none."""
    shown = shown or name
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise read_error(_instead(name, parent, shown, "a file", error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        kind = file_type(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        raise read_error(f"{shown} is {kind}, where a file should be.")
    return descriptor


def read_file(name: str, parent: int, most: int, *, shown: str = "") -> bytes | None:
    """A whole regular file of at most `most` bytes below `parent`; None if there is none."""
    shown = shown or name
    try:
        descriptor = open_file(name, parent, shown=shown)
    except FileNotFoundError:
        return None
    try:
        data = b"" if os.fstat(descriptor).st_size > most else read_descriptor(descriptor, most + 1)
        too_large = len(data) > most or os.fstat(descriptor).st_size > most
    except OSError as error:
        raise read_error(f"{shown} cannot be read: {error.strerror}.") from error
    finally:
        os.close(descriptor)
    if too_large:
        raise read_error(f"{shown} is larger than {most >> 10} KiB.")
    return data


def read_descriptor(descriptor: int, most: int) -> bytes:
    """What an open file holds, but no more than `most` bytes."""
    pieces = []
    while most > 0 and (piece := os.read(descriptor, min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def exists(name: str, parent: int) -> bool:
    """Whether anything, of whatever kind, has that name."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(name, dir_fd=parent)
        return True
    return False


def entries(descriptor: int, most: int, *, shown: str) -> list[os.DirEntry[str]]:
    """What lies in an open directory, at most `most`."""
    found = []
    try:
        with os.scandir(descriptor) as scan:
            for entry in scan:
                found.append(entry)
                if len(found) > most:
                    raise read_error(f"{shown} holds more than {most} entries.")
    except OSError as error:
        raise read_error(f"{shown} cannot be read: {error.strerror}.") from error
    return found


def open_below(root: int, path: str) -> int:
    """Open a regular file of the work tree by its path, each step as above; FileNotFoundError if it is not there."""
    *parents, name = path.split("/")
    if not name or any(part in {"", ".", ".."} for part in (*parents, name)):
        raise read_error(f"{path} is no path in the clone.")
    descriptor = os.dup(root)
    try:
        for part in parents:
            inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return open_file(name, descriptor, shown=path)
    except (NotADirectoryError, PermissionError) as error:
        raise read_error(f"{path} cannot be opened: {error.strerror}.") from error
    finally:
        os.close(descriptor)


def file_type(mode: int) -> str:
    """What kind of thing it is, in words."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")


def _instead(name: str | Path, parent: int | None, shown: str, wanted: str, error: OSError) -> str:
    """Why it could not be opened: mostly because it is something else."""
    with suppress(OSError):
        kind = file_type(os.lstat(name, dir_fd=parent).st_mode)
        if kind != wanted:
            return f"{shown} is {kind}, where {wanted} should be."
    return f"{shown} cannot be opened: {error.strerror}."
