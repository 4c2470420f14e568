"""Size and deletion of directory trees: by `du` and `rm` if the machine has them, else in Python.

`du` and `rm` handle any depth and need no open file for each level. Python is the fallback for a machine without
them, or with a wrong PATH. It follows no symbolic link either; a tree too deep for it is left and reported.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path


def tree_size(path: Path) -> int:
    """Return the bytes on disk of everything below `path`.

    Symbolic links are not followed, a hard-linked file counts once, an unreadable directory counts as 0.
    """
    done = _run("du", "-skx", "--", str(path))
    if done is None:
        return _walk_size(path)
    return int(done.stdout.split()[0]) * 1024 if done.stdout else 0


def delete_tree(path: Path) -> str:
    """Delete a tree, read-only directories included. Return the error if some of it remains, else ''."""
    problem = _remove(path)
    if os.path.lexists(path) and not path.is_symlink():
        # entries of a directory that is not writable cannot be deleted
        if _run("chmod", "-R", "u+rwX", "--", str(path)) is None:
            _make_all_writable(path)
        problem = _remove(path)
    return (problem or f"{path} still exists.") if os.path.lexists(path) else ""


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
        shutil.rmtree(path, ignore_errors=True)  # one file that cannot be deleted must not keep the others
        return str(error)
    except RecursionError:
        return f"{path} is nested too deep to be deleted without rm."
    return ""


def _run(*command: str) -> subprocess.CompletedProcess[bytes] | None:
    """Run a program and capture its output. Return None if it cannot be started."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return None


def _walk_size(path: Path) -> int:
    """Return the size that `du -skx` reports, in bytes."""
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


def _make_all_writable(path: Path) -> None:
    """Set mode 0700 on every directory of the tree, from the top down. Symbolic links are not followed."""
    with suppress(OSError, RecursionError):
        _make_writable(str(path), None)
        for _, directories, _, at in os.fwalk(path):
            for name in directories:
                with suppress(OSError):
                    _make_writable(name, at)


def _make_writable(name: str, at: int | None) -> None:
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
    try:
        Path(f"/proc/self/fd/{descriptor}").chmod(stat.S_IRWXU)
    finally:
        os.close(descriptor)
