"""Whole directory trees measured and deleted: by `du` and `rm` where the machine has them, else by ourselves.

They know any depth and need no open file for each level. A machine without them (or a PATH that leads nowhere) gets
what Python can do: it follows no symlink either, and what lies too deep for it is left and said to be left.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

_OURS = stat.S_IRWXU


def tree_size(path: Path) -> int:
    """The bytes on disk of everything below `path`: no symlink followed, no hard link counted twice.

    What cannot be read counts nothing.
    """
    done = _run("du", "-skx", "--", str(path))
    if done is None:
        return _measured(path)
    return int(done.stdout.split()[0]) * 1024 if done.stdout else 0


def delete_tree(path: Path) -> str:
    """Delete it, directories that are not writable included; what stood in the way if it is still there, or ''."""
    said = _remove(path)
    if os.path.lexists(path) and not path.is_symlink():
        if _run("chmod", "-R", "u+rwX", "--", str(path)) is None:  # a directory not writable keeps its entries
            _open_all(path)
        said = _remove(path)
    return (said or "It is still there.") if os.path.lexists(path) else ""


def _remove(path: Path) -> str:
    done = _run("rm", "-rf", "--", str(path))
    if done is not None:
        return done.stderr.decode(errors="replace")
    try:
        if path.is_symlink() or path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)  # as far as it goes: one file in the way keeps no other
        return str(error)
    except RecursionError:
        return "It lies too deep to be deleted without rm."
    return ""


def _run(*command: str) -> subprocess.CompletedProcess[bytes] | None:
    """None where there is no such program."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return None


def _measured(path: Path) -> int:
    """As `du -skx` measures, without it."""
    seen: set[int] = set()
    try:
        top = path.lstat()
    except OSError:
        return 0
    size = top.st_blocks * 512
    with suppress(OSError, RecursionError):
        for _, directories, files, at in os.fwalk(path):
            for name in (*directories, *files):
                with suppress(OSError):
                    status = os.stat(name, dir_fd=at, follow_symlinks=False)
                    if status.st_dev == top.st_dev and status.st_ino not in seen:
                        seen.add(status.st_ino)
                        size += status.st_blocks * 512
    return size


def _open_all(path: Path) -> None:
    """Make every directory of the tree ours to write in, from the top down; through no symlink."""
    with suppress(OSError, RecursionError):
        _open(str(path), None)
        for _, directories, _, at in os.fwalk(path):
            for name in directories:
                with suppress(OSError):
                    _open(name, at)


def _open(name: str, at: int | None) -> None:
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
    try:
        Path(f"/proc/self/fd/{descriptor}").chmod(_OURS)
    finally:
        os.close(descriptor)
