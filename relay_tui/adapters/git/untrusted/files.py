"""Safe reads of files that a session may have created, and may change during the read.

Each name is opened relative to an open directory, without following symbolic links and without blocking. Anything but
a real directory or a regular file of limited size is refused.
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
    """Return the error for a clone whose state cannot be determined, with the reason as its detail."""
    return UnknownStateError(
        "Cannot read the session's clone",
        reason,
        "It is treated as unsaved work. Open a shell in the session to examine it.",
    )


@contextmanager
def directory(name: str | Path, parent: int | None = None, *, shown: str = "") -> Iterator[int]:
    """Open a real directory within the block, relative to `parent` if given. `shown` is its name in errors.

    Raises UnknownStateError for anything else.
    """
    descriptor = open_directory(name, parent, shown=shown)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(name: str | Path, parent: int | None = None, *, shown: str = "") -> int:
    """Open a real directory like directory(). The caller closes the descriptor."""
    shown = shown or str(name)
    try:
        return os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=parent)
    except FileNotFoundError as error:
        raise read_error(f"{shown} does not exist.") from error
    except OSError as error:
        raise read_error(_open_failure(name, parent, shown, "a directory", error)) from error


def open_file(name: str, parent: int, *, shown: str = "") -> int:
    """Open a regular file relative to `parent`. The caller closes the descriptor.

    Raises FileNotFoundError if it does not exist, UnknownStateError for anything but a regular file.
    """
    shown = shown or name
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise read_error(_open_failure(name, parent, shown, "a file", error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        kind = file_type(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        raise read_error(f"{shown} is {kind}, not a file.")
    return descriptor


def read_file(name: str, parent: int, most: int, *, shown: str = "") -> bytes | None:
    """Return the content of a regular file relative to `parent`, None if it does not exist.

    Raises UnknownStateError if it has more than `most` bytes.
    """
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
    """Return the rest of an open file, at most `most` bytes."""
    pieces = []
    while most > 0 and (piece := os.read(descriptor, min(most, 1 << 20))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def exists(name: str, parent: int) -> bool:
    """Return whether the name exists, whatever its file type."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(name, dir_fd=parent)
        return True
    return False


def entries(descriptor: int, most: int, *, shown: str) -> list[os.DirEntry[str]]:
    """Return the entries of an open directory. Raises UnknownStateError if there are more than `most`."""
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
    """Open a regular file of the work tree by its path, following no symbolic link in any part of it.

    Raises FileNotFoundError if it does not exist, UnknownStateError for anything but a regular file.
    """
    *parents, name = path.split("/")
    if not name or any(part in {"", ".", ".."} for part in (*parents, name)):
        raise read_error(f"{path} is not a path in the clone.")
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


@contextmanager
def parent_directory(root: int, path: str) -> Iterator[tuple[int, str]]:
    """Open the parent directory of a path of the work tree within the block. Yield its descriptor and the last part.

    Raises UnknownStateError if a part of the path is not a real directory.
    """
    *parents, name = path.split("/")
    descriptor = os.dup(root)
    try:
        for part in parents:
            inner = open_directory(part, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


def file_type(mode: int) -> str:
    """Return the file type with its article: 'a directory', 'a pipe'."""
    return next((name for is_type, name in _KINDS if is_type(mode)), "of another type")


def _open_failure(name: str | Path, parent: int | None, shown: str, wanted: str, error: OSError) -> str:
    """Return the reason why a name could not be opened: usually its file type."""
    with suppress(OSError):
        kind = file_type(os.lstat(name, dir_fd=parent).st_mode)
        if kind != wanted:
            return f"{shown} is {kind}, not {wanted}."
    return f"{shown} cannot be opened: {error.strerror}."
