"""Which files of a session differ from its commit: by our index, then by what was staged in its own."""

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
STATUS = ("status", "--porcelain=v2", "-z", "--ignore-submodules=all", "--no-renames")


@dataclass(frozen=True, slots=True)
class Status:
    """Paths by what became of them. An untracked directory is one path that ends with '/'."""

    changed: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    untracked: frozenset[str] = frozenset()
    conflicted: frozenset[str] = frozenset()
    staged_only: frozenset[str] = frozenset()
    """Those of them whose change is in the session's index, and no longer on its disk."""

    @property
    def tracked(self) -> frozenset[str]:
        """Everything but what git was never told of."""
        return self.changed | self.added | self.deleted | self.conflicted


_staged: LruCache[tuple[Path, tuple[int, ...], str], dict[str, str]] = LruCache(200)
"""What the session's index has of its own, by its time and the commit: it need not be read again."""


@dataclass(frozen=True, slots=True)
class _Begun:
    status: GitProcess
    key: tuple[Path, tuple[int, ...], str]
    staged: GitProcess | None


def begin(view: CloneSnapshot) -> _Begun:
    """Start what read() waits for, so that other questions can be asked meanwhile."""
    key = (view.clone.shadow_dir, view.git.index_stamp(), view.commit)
    running = view.sight.begin(*STATUS)
    try:
        return _Begun(running, key, None if key in _staged else _begin_staged(view))
    except BaseException:
        running.end()
        raise


def end(begun: _Begun) -> None:
    """Leave nothing running, whatever else failed."""
    begun.status.end()
    if begun.staged is not None:
        begun.staged.end()


def read(view: CloneSnapshot, begun: _Begun) -> Status:
    """What is not committed."""
    changed, deleted, untracked, blobs = _parse(begun.status.result())
    staged = _staged.get(begun.key)
    if begun.staged is not None:
        staged = _staged.put(begun.key, _parse_raw(begun.staged.result()))
    staged = staged or {}
    same, unread = lfs_files.unchanged_lfs_files(view, blobs)
    if unread:
        view.notes.append(f"{unread} LFS files could not be read; they count as changed.")
    new = {path for path, letter in staged.items() if letter == "A"}
    found = Status(frozenset(changed - same), frozenset(), frozenset(deleted), frozenset(untracked))
    return replace(_with_staged(found, staged), untracked=_without(view, found.untracked, new))


def _begin_staged(view: CloneSnapshot) -> GitProcess | None:
    """Compare the session's own index with its commit: no file of the work tree is looked at for it."""
    index = shadow_repo.copy_index(view.clone, view.git)
    if not index:
        return None
    compare = ("diff-index", "--cached", "--raw", "-z", "--no-renames", "--ignore-submodules=all", view.commit, "--")
    return view.sight.begin(*compare, index=index)


def _parse(output: bytes) -> tuple[set[str], set[str], set[str], dict[str, str]]:
    """Changed, deleted and untracked paths; and of each changed one the blob that it is in the commit."""
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
            raise read_error("git status wrote something that it never should.")
    return changed, deleted, untracked, blobs


def _parse_raw(output: bytes) -> dict[str, str]:
    """Path → the letter of what became of it, from `--raw -z`."""
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
    """What was `git add`ed is added, not untracked; what conflicts is that; what is staged alone is not forgotten."""
    conflicted = frozenset(path for path, letter in staged.items() if letter == "U")
    new = frozenset(path for path, letter in staged.items() if letter == "A")
    on_disk = frozenset(path for path in new if path in found.untracked or _above(path, found.untracked))
    only = frozenset(staged) - conflicted - found.changed - found.deleted - on_disk
    return replace(
        found,
        changed=found.changed - conflicted | {path for path in only if staged[path] not in "AD"},
        added=on_disk | (only & new),
        deleted=found.deleted - conflicted | {path for path in only if staged[path] == "D"},
        conflicted=conflicted,
        staged_only=only,
    )


def _without(view: CloneSnapshot, untracked: frozenset[str], added: set[str]) -> frozenset[str]:
    """What is untracked besides the added files; a directory that holds nothing else is left out."""
    left = untracked - added
    holding = sorted({directory for path in added if (directory := _above(path, left))})
    if holding:
        listed = view.sight.git("ls-files", "--others", "--exclude-standard", "-z", "--", *holding[:_MOST_DIRECTORIES])
        others = {os.fsdecode(path) for path in listed.split(b"\0") if path} - added
        still = {_above(path, frozenset(holding)) for path in others}
        left -= set(holding[:_MOST_DIRECTORIES]) - still
    return left


def _above(path: str, directories: frozenset[str]) -> str:
    """The untracked directory that holds it, or ''."""
    parts = path.split("/")
    above = ("/".join(parts[:depth]) + "/" for depth in range(1, len(parts)))
    return next((directory for directory in above if directory in directories), "")
