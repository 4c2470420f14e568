"""The eye: a git directory of the host's own for each session, through which the host's git looks at its clone.

It holds what git would believe: a configuration, a HEAD, an index. The session can write none of it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import from_os
from relay_tui.adapters.git.untrusted import files, gitdir
from relay_tui.adapters.git.untrusted.git_process import SandboxedGit
from relay_tui.adapters.git.untrusted.gitdir import GitDir, Head
from relay_tui.ports.inspector import SessionClone

_CONFIG = """[core]
\trepositoryformatversion = {version}
\tfilemode = true
\tbare = false
\tlogallrefupdates = false
{extension}"""
_SHA256 = "[extensions]\n\tobjectFormat = sha256\n"
_EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_UNBORN = "ref: refs/heads/unborn"
_STAGED = "staged"
"""The eye's copy of the session's index: what was `git add`ed there, never what its files are compared with."""


def empty_tree(head: Head, width: int) -> str:
    """What a branch without a commit is compared with."""
    return head.hash or _EMPTY_TREE[width]


def prepare(clone: SessionClone) -> None:
    """Make the eye of a fresh clone, which nobody but us has touched: its index saves reading every file later."""
    with gitdir.open_clone(clone.work_dir) as git:
        head = git.head()
        _make(clone, head, _width(clone, head))
        index = git.index()
        if index is None:
            return
        try:
            with (clone.shadow_dir / "index").open("wb") as copy:
                copy.write(index)
            seconds = git.index_stamp()[2]
            os.utime(clone.shadow_dir / "index", ns=(seconds, seconds))  # git reads again what is as young as its index
            (clone.shadow_dir / "at").write_text(head.hash)
        except OSError as error:
            raise from_os(error) from error


def delete(clone: SessionClone) -> None:
    """Delete the eye; what cannot be deleted is in nobody's way."""
    shutil.rmtree(clone.shadow_dir, ignore_errors=True)
    with suppress(OSError):
        _lock_file(clone).unlink()
    with suppress(OSError):
        clone.shadow_dir.parent.rmdir()  # if it was the last


@contextmanager
def exclusive_access(clone: SessionClone, patience: float) -> Iterator[None]:
    """Look through an eye alone: two gits would be in each other's way. Waits for at most `patience` seconds."""
    lock = _lock(clone)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise files.read_error("Another relay is looking at it, and does not come to an end.") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(lock)


def _lock(clone: SessionClone) -> int:
    try:
        clone.shadow_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(_lock_file(clone), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise from_os(error) from error


def _lock_file(clone: SessionClone) -> Path:
    return clone.shadow_dir.with_suffix(".lock")


def checkout_state(clone: SessionClone, head: Head, sight: SandboxedGit) -> None:
    """Let the eye's HEAD and index be those of the session's commit; make the eye if it is missing."""
    width = _width(clone, head)
    if not (clone.shadow_dir / "HEAD").is_file():
        _make(clone, head, width)
    (clone.shadow_dir / "index.lock").unlink(missing_ok=True)  # of a git that was ended; nobody else is at it
    marker = clone.shadow_dir / "at"
    at = marker.read_text() if marker.exists() else None
    if at == head.hash and (clone.shadow_dir / "index").exists():
        return
    marker.unlink(missing_ok=True)
    (clone.shadow_dir / "HEAD").write_text(f"{head.hash or _UNBORN}\n")
    if not head.hash:
        sight.git("read-tree", "--empty")
    elif at is None:
        (clone.shadow_dir / "index").unlink(missing_ok=True)
        sight.git("read-tree", head.hash)
    else:
        sight.git("read-tree", "-i", "-m", head.hash)
    marker.write_text(head.hash)


def copy_index(clone: SessionClone, git: GitDir) -> str:
    """Copy the session's index into the eye, under another name; '' if there is none."""
    index = git.index()
    if index is None:
        return ""
    (clone.shadow_dir / _STAGED).write_bytes(index)
    return _STAGED


def _make(clone: SessionClone, head: Head, width: int) -> None:
    """A new eye, whole or not at all."""
    path = clone.shadow_dir.with_name(f"{clone.shadow_dir.name}.new-{secrets.token_hex(4)}")
    sha256 = width == 64
    try:
        path.mkdir(mode=0o700, parents=True)
        (path / "refs").mkdir()
        (path / "objects/info").mkdir(parents=True)
        (path / "config").write_text(_CONFIG.format(version=int(sha256), extension=_SHA256 if sha256 else ""))
        (path / "objects/info/alternates").write_text(f"{_line(clone.base / 'objects')}\n")
        (path / "HEAD").write_text(f"{head.hash or _UNBORN}\n")
        shutil.rmtree(clone.shadow_dir, ignore_errors=True)
        path.rename(clone.shadow_dir)
    except OSError as error:
        raise from_os(error) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(path)


def _line(path: Path) -> str:
    """A path as a line of info/alternates, which begins with a quote where it must be quoted."""
    text = str(path)
    if "\n" not in text and not text.startswith(('"', "#")):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _width(clone: SessionClone, head: Head) -> int:
    """How long this repository's hashes are: by HEAD, else by what the base has."""
    if head.hash:
        return len(head.hash)
    with gitdir.open_bare(clone.base) as base:
        return next((len(hashed) for hashed in base.refs.values()), 40)
