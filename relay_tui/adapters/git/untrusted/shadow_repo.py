"""Shadow repository: relay's own git directory for each session, used to run the host's git on the session's clone.

It holds the files that git trusts: configuration, HEAD and index. The session cannot write any of them.
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

from relay_tui.adapters.filesystem.atomic import filesystem_error, translate_os_errors
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
"""Copy of the session's index in the shadow repository. It lists staged changes; files are never compared with it."""

_NOT_WRITTEN = "Cannot write the session's shadow repository"


def empty_tree(head: Head, width: int) -> str:
    """Return the commit of `head`, or the empty tree for a branch without a commit."""
    return head.hash or _EMPTY_TREE[width]


def prepare(clone: SessionClone) -> None:
    """Create the shadow repository of a new clone that its session has not touched yet.

    The clone's index is copied: with it git need not read every file at the first inspection.
    """
    with gitdir.open_clone(clone.work_dir) as git_dir:
        head = git_dir.head()
        _create(clone, head, _hash_length(clone, head))
        index = git_dir.index()
        if index is None:
            return
        with translate_os_errors(_NOT_WRITTEN, clone.shadow_dir):
            with (clone.shadow_dir / "index").open("wb") as copy:
                copy.write(index)
            mtime = git_dir.index_stamp()[2]
            # git reads every file again that is not older than its index
            os.utime(clone.shadow_dir / "index", ns=(mtime, mtime))
            (clone.shadow_dir / "at").write_text(head.hash)


def delete(clone: SessionClone) -> None:
    """Delete the shadow repository. Errors are ignored: remaining files do no harm."""
    shutil.rmtree(clone.shadow_dir, ignore_errors=True)
    with suppress(OSError):
        _lock_file(clone).unlink()
    with suppress(OSError):
        clone.shadow_dir.parent.rmdir()  # succeeds only after the last one


@contextmanager
def exclusive_access(clone: SessionClone, timeout: float) -> Iterator[None]:
    """Lock the shadow repository within the block: two git processes in it would disturb each other.

    Raises UnknownStateError after `timeout` seconds.
    """
    lock = _lock(clone)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise files.read_error("Another relay is inspecting it and does not finish.") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(lock)


def _lock(clone: SessionClone) -> int:
    path = _lock_file(clone)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise filesystem_error(error, "Cannot lock the session's shadow repository", path) from error


def _lock_file(clone: SessionClone) -> Path:
    return clone.shadow_dir.with_suffix(".lock")


def checkout_state(clone: SessionClone, head: Head, git: SandboxedGit) -> None:
    """Set HEAD and index of the shadow repository to the session's commit. Create it if it is missing."""
    with translate_os_errors(_NOT_WRITTEN, clone.shadow_dir):
        _checkout_state(clone, head, git)


def _checkout_state(clone: SessionClone, head: Head, git: SandboxedGit) -> None:
    if not (clone.shadow_dir / "HEAD").is_file():
        _create(clone, head, _hash_length(clone, head))
    # left by a killed git; no other git is running, because the caller holds exclusive_access()
    (clone.shadow_dir / "index.lock").unlink(missing_ok=True)
    marker = clone.shadow_dir / "at"
    at = marker.read_text() if marker.exists() else None
    if at == head.hash and (clone.shadow_dir / "index").exists():
        return
    marker.unlink(missing_ok=True)
    (clone.shadow_dir / "HEAD").write_text(f"{head.hash or _UNBORN}\n")
    if not head.hash:
        git.run("read-tree", "--empty")
    elif at is None:
        (clone.shadow_dir / "index").unlink(missing_ok=True)
        git.run("read-tree", head.hash)
    else:
        git.run("read-tree", "-i", "-m", head.hash)
    marker.write_text(head.hash)


def copy_index(clone: SessionClone, git_dir: GitDir) -> str:
    """Copy the session's index into the shadow repository and return the copy's name; '' if there is no index."""
    index = git_dir.index()
    if index is None:
        return ""
    (clone.shadow_dir / _STAGED).write_bytes(index)
    return _STAGED


def _create(clone: SessionClone, head: Head, width: int) -> None:
    """Create a shadow repository, replacing an incomplete one. It appears complete or not at all."""
    path = clone.shadow_dir.with_name(f"{clone.shadow_dir.name}.new-{secrets.token_hex(4)}")
    sha256 = width == 64
    try:
        path.mkdir(mode=0o700, parents=True)
        (path / "refs").mkdir()
        (path / "objects/info").mkdir(parents=True)
        (path / "config").write_text(_CONFIG.format(version=int(sha256), extension=_SHA256 if sha256 else ""))
        (path / "objects/info/alternates").write_text(f"{_alternates_line(clone.base / 'objects')}\n")
        (path / "HEAD").write_text(f"{head.hash or _UNBORN}\n")
        shutil.rmtree(clone.shadow_dir, ignore_errors=True)
        path.rename(clone.shadow_dir)
    except OSError as error:
        raise filesystem_error(error, "Cannot create the session's shadow repository", clone.shadow_dir) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(path)


def _alternates_line(path: Path) -> str:
    """Return a path as a line of info/alternates, quoted if it contains a newline or starts like a quote or comment."""
    text = str(path)
    if "\n" not in text and not text.startswith(('"', "#")):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _hash_length(clone: SessionClone, head: Head) -> int:
    """Return the number of hex digits of this repository's hashes, by HEAD, else by the base clone's refs."""
    if head.hash:
        return len(head.hash)
    with gitdir.open_bare(clone.base) as base:
        return next((len(hashed) for hashed in base.refs.values()), 40)
