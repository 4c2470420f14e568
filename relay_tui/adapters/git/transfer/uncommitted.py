"""What a session has not committed, as a commit: its files read by ourselves, written by git's fast-import."""

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
"""What the commit is called in a copy: the second where some of it could not be read."""

_PATIENCE = 60.0  # seconds that git may take to tell which files differ
_CHUNK = 1 << 20
_MOST = 8 << 30  # bytes of all files together: one full of holes costs a session nothing, and us its whole size
_MESSAGE = b"What was not committed in the session\n"


def commit_uncommitted(clone: SessionClone, copy: Path, task: TaskContext) -> dict[str, str]:
    """Commit in `copy`, which has the session's objects, what the session has not; answer its ref, if there is any.

    Files are taken byte for byte: nothing of the session's filters or attributes has a say.
    """
    had_eye = clone.shadow_dir.exists()
    try:
        with open_snapshot(clone, _PATIENCE) as view:
            present, gone, left_out = _paths(view)
            if not present and not gone:
                return {}
            task.report("Saving what is not committed")
            writer = _Writer(view, copy, task)
            writer.write(present, gone)
    except GitError as error:  # it counts as unsaved still
        log.warning("what is not committed in %s is not saved: %s: %s", clone.session_id, error.title, error.detail)
        return {}
    finally:
        if not had_eye:  # of a clone in the trash
            shadow_repo.delete(clone)
    found = trusted_git.refs(copy, WHOLE)
    if found and (left_out or writer.left_out):
        (copy / WHOLE).rename(copy / PARTLY)
        return {PARTLY: found[WHOLE]}
    return found


def _paths(view: CloneSnapshot) -> tuple[list[str], list[str], bool]:
    """Files to be written, files to be deleted, and whether there is more that has no place in a commit."""
    begun = worktree_status.begin(view)
    try:
        found = worktree_status.read(view, begun)
    finally:
        worktree_status.end(begun)
    others = view.sight.git("ls-files", "--others", "--exclude-standard", "-z")
    untracked = {os.fsdecode(path) for path in others.split(b"\0") if path}
    files = found.changed | found.added | found.conflicted | untracked
    whole = {path for path in files if not path.endswith("/")}  # a repository of its own ends so
    return sorted(whole), sorted(found.deleted), bool(found.staged_only) or len(whole) != len(files)


class _Writer:
    """One run of fast-import. `left_out` tells whether some file could not be written as it is."""

    def __init__(self, view: CloneSnapshot, copy: Path, task: TaskContext) -> None:
        self._view = view
        self._copy = copy
        self._task = task
        self._room = _MOST
        self.left_out = False

    def write(self, present: list[str], gone: list[str]) -> None:
        """Write the commit. Raises GitError with fast-import's words."""
        command = ("git", *trusted_git.STRICT, f"--git-dir={self._copy}", "fast-import", "--quiet", "--force")
        room = sandbox.SandboxPaths((self._view.clone.base / "objects",), self._copy)
        process = sandbox.best_sandbox().start(command, trusted_git.isolated_environment(), room)
        assert process.stdin is not None
        try:
            with self._task.on_cancel(process.kill), suppress(BrokenPipeError):
                self._stream(process.stdin, present, gone)
            process.stdin.close()
            said = process.stderr.read() if process.stderr is not None else b""
            code = process.wait()
        finally:
            _end(process)
        self._task.raise_if_cancelled()
        if code:
            words = said.decode(errors="replace").strip()
            raise GitError("What is not committed cannot be saved", words, "Commit it in the session.")

    def _stream(self, pipe: IO[bytes], present: list[str], gone: list[str]) -> None:
        pipe.write(f"commit {WHOLE}\ncommitter relay <relay@localhost> {int(time.time())} +0000\n".encode())
        pipe.write(b"data %d\n%b" % (len(_MESSAGE), _MESSAGE))
        if self._view.head.hash:
            pipe.write(f"from {self._view.head.hash}\n".encode())
        for path in gone:
            pipe.write(b"D %b\n" % _quoted(path))
        for number, path in enumerate(present):
            self._task.raise_if_cancelled()
            if number % 64 == 0:
                self._task.report("Saving what is not committed", number / len(present))
            try:
                self._file(pipe, path)
            except (OSError, UnknownStateError) as error:
                if isinstance(error, BrokenPipeError):
                    raise
                self.left_out = True

    def _file(self, pipe: IO[bytes], path: str) -> None:
        if target := self._link(path):
            pipe.write(b"M 120000 inline %b\ndata %d\n%b\n" % (_quoted(path), len(target), target))
            return
        descriptor = clone_files.open_below(self._view.tree, path)
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            if state.st_size > self._room:
                self.left_out = True
                return
            self._room -= state.st_size
            mode = b"100755" if state.st_mode & stat.S_IXUSR else b"100644"
            pipe.write(b"M %b inline %b\ndata %d\n" % (mode, _quoted(path), state.st_size))
            for piece in self._pieces(file, state.st_size):
                pipe.write(piece)
            pipe.write(b"\n")

    def _pieces(self, file: IO[bytes], size: int) -> Iterator[bytes]:
        """Exactly `size` bytes: it may grow or shrink while it is read."""
        while size:
            self._task.raise_if_cancelled()
            piece = file.read(min(size, _CHUNK))
            if not piece:
                self.left_out = True
                piece = bytes(min(size, _CHUNK))
            size -= len(piece)
            yield piece

    def _link(self, path: str) -> bytes:
        """Where a symbolic link leads, by its own word; b'' if it is none."""
        *parents, name = path.split("/")
        descriptor = os.dup(self._view.tree)
        try:
            for part in parents:
                inner = clone_files.open_directory(part, descriptor)
                os.close(descriptor)
                descriptor = inner
            if not stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode):
                return b""
            return os.fsencode(os.readlink(name, dir_fd=descriptor))
        finally:
            os.close(descriptor)


def _quoted(path: str) -> bytes:
    """A path as fast-import takes it whatever is in it."""
    raw = os.fsencode(path)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running."""
    if process.returncode is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
