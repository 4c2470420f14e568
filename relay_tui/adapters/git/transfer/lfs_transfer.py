"""Transfer of LFS objects. git transfers only their pointers, so relay copies and sends the objects itself."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.adapters.git.clone.source import is_local
from relay_tui.adapters.git.credentials import spellings
from relay_tui.adapters.git.errors import git_error
from relay_tui.adapters.git.inspection.lfs_files import MOST_POINTER, POINTER
from relay_tui.adapters.git.transfer import commits, remote, trusted_git
from relay_tui.adapters.git.untrusted.gitdir import GitDir
from relay_tui.domain.errors import GitError, UnknownStateError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_REMOTE_URL = re.compile(r"^(?!file:)((https?|ssh)://|[^/:]+:(?!//))", re.IGNORECASE)
_AT_ONCE = 500  # checksums on one command line
_CHUNK = 1 << 20


def import_objects(git_dir: GitDir, base: Path, tips: Collection[str], scratch: Path, task: TaskContext) -> None:
    """Copy the LFS objects of a session's new commits to the base clone, if their content matches their checksum."""
    if not git_dir.has_entries("lfs"):
        return
    for name in _find_pointers(base, tips):
        task.raise_if_cancelled()
        target = _object_path(base, name)
        if target.exists():
            continue
        task.report("Copying LFS files")
        try:
            _copy(git_dir, name, scratch / name, target, task)
        except (FileNotFoundError, UnknownStateError):  # the upstream may have it; otherwise it rejects the push
            continue
        except OSError as error:
            raise filesystem_error(error, "Cannot copy an LFS object to the base clone", target) from error


def _copy(git_dir: GitDir, name: str, copy: Path, target: Path, task: TaskContext) -> None:
    digest = hashlib.sha256()
    with git_dir.open_lfs(name) as reading, copy.open("wb") as writing:
        while piece := os.read(reading, _CHUNK):
            task.raise_if_cancelled()
            digest.update(piece)
            writing.write(piece)
    if digest.hexdigest() != name:
        copy.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    copy.rename(target)


def objects_to_push(base: Path, commit: str) -> list[str]:
    """Return the checksums of the LFS objects to send with a push of `commit`: new ones that the base clone has."""
    if not (base / "lfs/objects").is_dir():
        return []
    return [name for name in _find_pointers(base, [commit]) if _object_path(base, name).exists()]


def send(base: Path, source: CloneSource, names: Sequence[str], task: TaskContext) -> None:
    """Upload LFS objects with the host's git-lfs and credentials. Raises GitError if the host has no git-lfs."""
    if not names:
        return
    if shutil.which("git-lfs") is None:
        count = f"{len(names)} LFS {'file' if len(names) == 1 else 'files'}"
        raise GitError(f"Cannot send {count}", "git-lfs is not installed on this host.", "Install git-lfs.")
    if not is_local(source.url) and not _uses_remote_urls(base):
        hint = "Push from a clone of your own: relay session export."
        raise GitError("The repository's .lfsconfig names a path on this host", hint=hint)
    task.report("Sending LFS files")
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        options = ("-c", f"remote.origin.url={source.url}", "-c", "lfs.locksverify=false")
        outcome = remote.run_remote_command(
            base, (*options, "lfs", "push", "--object-id", "origin", *some), source, task
        )
        if outcome.code:
            raise git_error(outcome, "Cannot send the LFS files", spellings(source))


def copy_to(base: Path, git_dir: Path, tips: Collection[str]) -> None:
    """Copy the LFS objects of a clone's new commits from the base clone, if it has them."""
    if not (base / "lfs/objects").is_dir():
        return
    for name in _find_pointers(base, tips):
        source, target = _object_path(base, name), _object_path(git_dir, name)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _object_path(git_dir: Path, name: str) -> Path:
    return git_dir / "lfs/objects" / name[:2] / name[2:4] / name


def _uses_remote_urls(base: Path) -> bool:
    """Return whether each URL in the upstream's .lfsconfig, if there is one, is on another host."""
    blob = "HEAD:.lfsconfig"
    if not trusted_git.succeeds(base, "cat-file", "-e", blob):
        return True
    command = ("config", f"--blob={blob}", "--no-includes", "-z", "--get-regexp", "url$")
    listed = trusted_git.run_capture(base, *command, title="Cannot read the repository's .lfsconfig")
    return all(_REMOTE_URL.match(entry.partition("\n")[2]) for entry in listed.split("\0") if entry)


def _find_pointers(base: Path, tips: Collection[str]) -> list[str]:
    """Return the checksums in LFS pointers that are reachable from `tips` and that the upstream lacks."""
    objects = trusted_git.run_capture(
        base,
        *("rev-list", "--objects", "--no-object-names", "--filter=object:type=blob", "--filter-provided-objects"),
        *(*sorted(set(tips)), *commits.NOT_UPSTREAM, "--"),
        title="Cannot read the commits",
    )
    if not objects:
        return []
    listed = trusted_git.cat_file(base, "--batch-check=%(objectname) %(objectsize)", objects.encode()).splitlines()
    small = [name for name, size in (line.split() for line in listed) if int(size) <= MOST_POINTER]
    if not small:
        return []
    contents = trusted_git.cat_file(base, "--batch", b"\n".join(small) + b"\n")
    return sorted({found[1].decode() for found in POINTER.finditer(contents)})
