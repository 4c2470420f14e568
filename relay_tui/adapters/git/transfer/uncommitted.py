"""Commit of a session's uncommitted changes: relay reads the files, git fast-import writes the commit."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from relay_tui.adapters.git.inspection import worktree_status
from relay_tui.adapters.git.transfer import trusted_git
from relay_tui.adapters.git.untrusted import files as clone_files
from relay_tui.adapters.git.untrusted import sandbox, shadow_repo
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot, open_snapshot
from relay_tui.domain.errors import GitError, UnknownStateError
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext

log = logging.getLogger(__name__)

WHOLE, PARTLY = "refs/uncommitted", "refs/uncommitted-partly"
"""Refs of the commit. The second is used if some of the changes could not be saved."""

_TIMEOUT = 60.0  # seconds that git may take to list the changed files
_CHUNK = 1 << 20
_MOST = 8 << 30  # bytes of all files together: a sparse file takes no space in the session, but its full size here
_MESSAGE = b"Uncommitted changes of the session\n"


def commit_uncommitted(clone: SessionClone, copy: Path, task: TaskContext) -> dict[str, str]:
    """Commit the uncommitted changes in `copy`, which has the session's objects. Return ref → commit, {} if none.

    Files are stored byte for byte: the session's filters and attributes are not applied.
    """
    had_shadow_repo = clone.shadow_dir.exists()
    try:
        with open_snapshot(clone, _TIMEOUT) as snapshot:
            written, deleted, left_out = _changed_paths(snapshot)
            if not written and not deleted:
                return {}
            task.report("Saving uncommitted changes")
            writer = _CommitWriter(snapshot, copy, task)
            writer.write(written, deleted)
    except GitError as error:  # the changes are still reported as unsaved work
        log.warning("uncommitted changes of %s are not saved: %s: %s", clone.session_id, error.title, error.detail)
        return {}
    finally:
        if not had_shadow_repo:  # the clone is in the trash
            shadow_repo.delete(clone)
    found = trusted_git.refs(copy, WHOLE)
    if found and (left_out or writer.left_out):
        (copy / WHOLE).rename(copy / PARTLY)
        return {PARTLY: found[WHOLE]}
    return found


def _changed_paths(snapshot: CloneSnapshot) -> tuple[list[str], list[str], bool]:
    """Return files to write, files to delete, and whether some changes cannot be part of a commit."""
    status = worktree_status.start_status(snapshot)
    try:
        found = worktree_status.read_status(snapshot, status)
    finally:
        worktree_status.stop_status(status)
    others = snapshot.git.run("ls-files", "--others", "--exclude-standard", "-z")
    untracked = {os.fsdecode(path) for path in others.split(b"\0") if path}
    files = found.changed | found.added | found.conflicted | untracked
    regular = {path for path in files if not path.endswith("/")}  # a nested repository is listed with a slash
    return sorted(regular), sorted(found.deleted), bool(found.staged_only) or len(regular) != len(files)


class _CommitWriter:
    """One run of fast-import. `left_out` is whether some file could not be written with its exact content."""

    def __init__(self, snapshot: CloneSnapshot, copy: Path, task: TaskContext) -> None:
        self._snapshot = snapshot
        self._copy = copy
        self._task = task
        self._bytes_left = _MOST
        self.left_out = False

    def write(self, written: list[str], deleted: list[str]) -> None:
        """Write the commit. Raises GitError with fast-import's message, and CancelledError."""
        command = ("git", *trusted_git.STRICT, f"--git-dir={self._copy}", "fast-import", "--quiet", "--force")
        paths = sandbox.SandboxPaths((self._snapshot.clone.base / "objects",), self._copy)
        process = sandbox.best_sandbox().start(command, trusted_git.isolated_environment(), paths)
        assert process.stdin is not None
        try:
            with self._task.on_cancel(process.kill), suppress(BrokenPipeError):
                self._stream(process.stdin, written, deleted)
            process.stdin.close()
            message = process.stderr.read() if process.stderr is not None else b""
            code = process.wait()
        finally:
            _kill(process)
        self._task.raise_if_cancelled()
        if code:
            detail = message.decode(errors="replace").strip()
            raise GitError("Cannot save the uncommitted changes", detail, "Commit them in the session.")

    def _stream(self, pipe: IO[bytes], written: list[str], deleted: list[str]) -> None:
        pipe.write(f"commit {WHOLE}\ncommitter relay <relay@localhost> {int(time.time())} +0000\n".encode())
        pipe.write(b"data %d\n%b" % (len(_MESSAGE), _MESSAGE))
        if self._snapshot.head.hash:
            pipe.write(f"from {self._snapshot.head.hash}\n".encode())
        for path in deleted:
            pipe.write(b"D %b\n" % _quoted(path))
        for number, path in enumerate(written):
            self._task.raise_if_cancelled()
            if number % 64 == 0:
                self._task.report("Saving uncommitted changes", number / len(written))
            try:
                self._write_file(pipe, path)
            except (OSError, UnknownStateError) as error:
                if isinstance(error, BrokenPipeError):
                    raise
                self.left_out = True

    def _write_file(self, pipe: IO[bytes], path: str) -> None:
        if target := self._link_target(path):
            pipe.write(b"M 120000 inline %b\ndata %d\n%b\n" % (_quoted(path), len(target), target))
            return
        descriptor = clone_files.open_below(self._snapshot.tree, path)
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            if state.st_size > self._bytes_left:
                self.left_out = True
                return
            self._bytes_left -= state.st_size
            mode = b"100755" if state.st_mode & stat.S_IXUSR else b"100644"
            pipe.write(b"M %b inline %b\ndata %d\n" % (mode, _quoted(path), state.st_size))
            for chunk in self._read_exactly(file, state.st_size):
                pipe.write(chunk)
            pipe.write(b"\n")

    def _read_exactly(self, file: IO[bytes], size: int) -> Iterator[bytes]:
        """Yield exactly `size` bytes, padded with NULs: the session may change the file's size during the read."""
        while size:
            self._task.raise_if_cancelled()
            chunk = file.read(min(size, _CHUNK))
            if not chunk:
                self.left_out = True
                chunk = bytes(min(size, _CHUNK))
            size -= len(chunk)
            yield chunk

    def _link_target(self, path: str) -> bytes:
        """Return the target of a symbolic link, b'' if the path is none."""
        with clone_files.parent_directory(self._snapshot.tree, path) as (parent, name):
            if not stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode):
                return b""
            return os.fsencode(os.readlink(name, dir_fd=parent))


def _quoted(path: str) -> bytes:
    """Quote a path for fast-import, whatever characters it has."""
    raw = os.fsencode(path)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process if it still runs, and close its pipes."""
    if process.returncode is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
