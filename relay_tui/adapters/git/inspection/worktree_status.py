"""Changed files of a session's work tree, by the shadow repository's index, plus what is staged in the session's."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from relay_tui.adapters.git.inspection import lfs_files
from relay_tui.adapters.git.untrusted import shadow_repo
from relay_tui.adapters.git.untrusted.files import read_error
from relay_tui.adapters.git.untrusted.git_process import GitProcess
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot

_MOST_DIRECTORIES = 500  # on one command line
_STATUS = ("status", "--porcelain=v2", "-z", "--ignore-submodules=all", "--no-renames")


@dataclass(frozen=True, slots=True)
class Status:
    """Paths that differ from the commit, by kind of change. An untracked directory is one path that ends with '/'."""

    changed: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    untracked: frozenset[str] = frozenset()
    conflicted: frozenset[str] = frozenset()
    staged_only: frozenset[str] = frozenset()
    """The paths of these whose change is in the session's index, and not in its work tree."""

    @property
    def tracked(self) -> frozenset[str]:
        """Every path but the untracked ones."""
        return self.changed | self.added | self.deleted | self.conflicted


_staged: LruCache[tuple[Path, tuple[int, ...], str], dict[str, str]] = LruCache(200)
"""Staged changes of a session, by shadow repository, stamp of the session's index, and commit."""


@dataclass(frozen=True, slots=True)
class _RunningStatus:
    """git commands of one status query."""

    status: GitProcess
    key: tuple[Path, tuple[int, ...], str]
    staged: GitProcess | None


def start_status(snapshot: CloneSnapshot) -> _RunningStatus:
    """Start git for read_status(), so that other commands can run meanwhile. The caller must call stop_status()."""
    key = (snapshot.clone.shadow_dir, snapshot.git_dir.index_stamp(), snapshot.commit)
    process = snapshot.git.start(*_STATUS)
    try:
        return _RunningStatus(process, key, None if key in _staged else _start_staged(snapshot))
    except BaseException:
        process.kill()
        raise


def stop_status(running: _RunningStatus) -> None:
    """Kill the git commands that still run."""
    running.status.kill()
    if running.staged is not None:
        running.staged.kill()


def read_status(snapshot: CloneSnapshot, running: _RunningStatus) -> Status:
    """Wait for git and return the uncommitted changes."""
    changed, deleted, untracked, blobs = _parse(running.status.result())
    staged = _staged.get(running.key)
    if running.staged is not None:
        staged = _staged.put(running.key, _parse_raw(running.staged.result()))
    staged = staged or {}
    same, unread = lfs_files.unchanged_lfs_files(snapshot, blobs)
    if unread:
        snapshot.notes.append(f"{unread} LFS files could not be read in time and are counted as changed.")
    new = {path for path, letter in staged.items() if letter == "A"}
    found = Status(frozenset(changed - same), frozenset(), frozenset(deleted), frozenset(untracked))
    return replace(_with_staged(found, staged), untracked=_exclude_added(snapshot, found.untracked, new))


def _start_staged(snapshot: CloneSnapshot) -> GitProcess | None:
    """Start a comparison of the session's index with its commit. It reads no file of the work tree."""
    index = shadow_repo.copy_index(snapshot.clone, snapshot.git_dir)
    if not index:
        return None
    compare = (
        "diff-index",
        "--cached",
        "--raw",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        snapshot.commit,
        "--",
    )
    return snapshot.git.start(*compare, index=index)


def _parse(output: bytes) -> tuple[set[str], set[str], set[str], dict[str, str]]:
    """Return changed, deleted and untracked paths, and each changed path's blob in the commit."""
    changed, deleted, untracked = set(), set(), set()
    blobs = {}
    for entry in output.split(b"\0"):
        if not entry:
            continue
        kind = entry[:2]
        if kind == b"? ":
            untracked.add(os.fsdecode(entry[2:]))
        elif kind == b"1 ":
            _, states, _, _, _, _, _, blob, path = entry.split(b" ", 8)
            name = os.fsdecode(path)
            if states.endswith(b"D"):
                deleted.add(name)
            else:
                changed.add(name)
                blobs[name] = blob.decode()
        else:
            raise read_error("git status wrote an entry of an unexpected kind.")
    return changed, deleted, untracked, blobs


def _parse_raw(output: bytes) -> dict[str, str]:
    """Return path → status letter of the output of `--raw -z`."""
    fields = iter(output.split(b"\0"))
    found: dict[str, str] = {}
    for head in fields:
        if head.startswith(b":"):
            letter = head.rsplit(b" ", 1)[1][:1].decode()
            path = os.fsdecode(next(fields, b""))
            if found.get(path) != "U":
                found[path] = letter
    return found


def _with_staged(found: Status, staged: dict[str, str]) -> Status:
    """Merge the staged changes into a status: mark added and conflicted paths, add those that are only staged."""
    conflicted = frozenset(path for path, letter in staged.items() if letter == "U")
    new = frozenset(path for path, letter in staged.items() if letter == "A")
    on_disk = frozenset(path for path in new if path in found.untracked or _untracked_parent(path, found.untracked))
    only = frozenset(staged) - conflicted - found.changed - found.deleted - on_disk
    return replace(
        found,
        changed=found.changed - conflicted | {path for path in only if staged[path] not in "AD"},
        added=on_disk | (only & new),
        deleted=found.deleted - conflicted | {path for path in only if staged[path] == "D"},
        conflicted=conflicted,
        staged_only=only,
    )


def _exclude_added(snapshot: CloneSnapshot, untracked: frozenset[str], added: set[str]) -> frozenset[str]:
    """Return the untracked paths without the added files, and without directories that contain only added files."""
    remaining = untracked - added
    parents = sorted({directory for path in added if (directory := _untracked_parent(path, remaining))})
    parents = parents[:_MOST_DIRECTORIES]
    if parents:
        listed = snapshot.git.run("ls-files", "--others", "--exclude-standard", "-z", "--", *parents)
        others = {os.fsdecode(path) for path in listed.split(b"\0") if path} - added
        remaining -= set(parents) - {_untracked_parent(path, frozenset(parents)) for path in others}
    return remaining


def _untracked_parent(path: str, directories: frozenset[str]) -> str:
    """Return the directory of `directories` that contains the path, '' if there is none."""
    parts = path.split("/")
    parents = ("/".join(parts[:depth]) + "/" for depth in range(1, len(parts)))
    return next((directory for directory in parents if directory in directories), "")
