"""Changed files of a session against a commit: kind of change, content, and number of lines."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from relay_tui.adapters.git.inspection import clone_status, lfs_files, renames, worktree_status
from relay_tui.adapters.git.untrusted import files as clone_files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import ChangeKind, ChangeSet, ContentKind, DiffBase, FileChange
from relay_tui.domain.errors import UnknownStateError

HUGE = 8 << 20
"""Bytes from which a file is not diffed. git treats it as binary, by the same value of `core.bigFileThreshold`."""

DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "--no-color", "--find-renames")
MOST_UNTRACKED = 5_000
_COUNTED = 64 << 20  # bytes of untracked files whose lines are counted
_ARGUMENTS = 1_000  # paths on one command line
_MOST_NAMED = 200_000  # characters of all changed paths up to which renames are detected: a diff names each to git
_CHANGES = {
    "M": ChangeKind.MODIFIED,
    "A": ChangeKind.ADDED,
    "C": ChangeKind.ADDED,
    "D": ChangeKind.DELETED,
    "R": ChangeKind.RENAMED,
    "T": ChangeKind.TYPE,
}
_SYMLINK, _GITLINK = "120000", "160000"


@dataclass(frozen=True, slots=True)
class _Raw:
    """One entry of `git diff --raw`."""

    change: ChangeKind
    path: str
    old_path: str
    modes: tuple[str, str]
    old_blob: str


@dataclass(frozen=True, slots=True)
class ChangeSurvey:
    """Changed files of a session, by path."""

    against: DiffBase
    base: str
    files: Mapping[str, FileChange]
    untracked: frozenset[str]
    """Paths that git's diff does not include, because no commit has them."""
    renamed: frozenset[str]
    """Paths renamed in the work tree only. git's diff would show the old path as deleted, and omit the new one."""
    notes: tuple[str, ...]

    def changes(self) -> ChangeSet:
        """Return the files, sorted by path."""
        files = tuple(self.files[path] for path in sorted(self.files))
        return ChangeSet(against=self.against, base=self.base, files=files, notes=self.notes)


def list_changes(snapshot: CloneSnapshot, against: DiffBase) -> ChangeSurvey:
    """Compare the work tree with the commit of `against`, and count the lines of each changed file."""
    base = snapshot.base_of(against)
    status = worktree_status.start_status(snapshot)
    try:
        compared = list(_parse_raw(snapshot.git.run(*DIFF, "--raw", "-z", "--abbrev=64", base, "--")))
        found = worktree_status.read_status(snapshot, status)
    finally:
        worktree_status.stop_status(status)
    countable, files = _classify(snapshot, compared)
    counts = _count_changed_lines(snapshot, base, countable)
    files += [_with_lines(file, counts[file.path]) if file.path in counts else file for file in countable]
    files = [replace(f, change=ChangeKind.CONFLICTED) if f.path in found.conflicted else f for f in files]
    untracked = _list_untracked(snapshot, found, {file.path for file in files})
    notes = (*snapshot.notes, *clone_status.uncounted_locations(snapshot))
    if found.staged_only:
        count = len(found.staged_only)
        notes += (f"{count} files are staged with other content than on disk; the files on disk are shown.",)
    renamed = _detect_renames(snapshot, compared, files, untracked)
    old_paths = {file.old_path for file in renamed.values()}
    files = [file for file in files if file.path not in old_paths]
    untracked = [file for file in untracked if file.path not in renamed]
    by_path = {file.path: file for file in (*files, *untracked, *renamed.values())}
    return ChangeSurvey(against, base, by_path, frozenset(file.path for file in untracked), frozenset(renamed), notes)


def _detect_renames(
    snapshot: CloneSnapshot, compared: list[_Raw], files: list[FileChange], untracked: list[FileChange]
) -> dict[str, FileChange]:
    """Return new path → change of each file that was renamed in the work tree only, with unchanged content."""
    deleted_paths = {file.path for file in files if file.change is ChangeKind.DELETED}
    if sum(len(file.path) for file in files) > _MOST_NAMED:
        return {}
    deleted = {raw.path: (raw.modes[0], raw.old_blob) for raw in compared if raw.path in deleted_paths}
    pairs = renames.detect_renames(snapshot, deleted, untracked)
    found = {}
    for file in untracked:
        if old := pairs.get(file.path):
            lines = 0 if file.content is ContentKind.TEXT else None
            found[file.path] = replace(file, change=ChangeKind.RENAMED, old_path=old, added=lines, deleted=lines)
    return found


def _parse_raw(output: bytes) -> Iterator[_Raw]:
    fields = iter(output.split(b"\0"))
    for head in fields:
        if not head.startswith(b":"):
            continue
        old_mode, new_mode, old_blob, _, letter = head[1:].decode().split(" ")
        old_path = os.fsdecode(next(fields, b""))
        path = os.fsdecode(next(fields, b"")) if letter[0] in "RC" else old_path
        change = _CHANGES.get(letter[0], ChangeKind.MODIFIED)
        yield _Raw(change, path, old_path if change is ChangeKind.RENAMED else "", (old_mode, new_mode), old_blob)


def _classify(snapshot: CloneSnapshot, compared: list[_Raw]) -> tuple[list[FileChange], list[FileChange]]:
    """Return the files whose lines git may count, and the others: LFS, submodules, unreadable and huge files."""
    modified = {raw.path: raw.old_blob for raw in compared if raw.change is not ChangeKind.ADDED}
    pointers = lfs_files.find_pointers(snapshot, modified)
    same: set[str] = set()
    if pointers:
        same, _ = lfs_files.unchanged_lfs_files(snapshot, {path: modified[path] for path in pointers})
    countable: list[FileChange] = []
    others: list[FileChange] = []
    for raw in compared:
        if raw.path in same:
            continue
        content, size = (
            change_kind(snapshot, raw.path) if raw.change is not ChangeKind.DELETED else (ContentKind.TEXT, None)
        )
        if _GITLINK in raw.modes:
            content = ContentKind.SUBMODULE
        elif raw.path in pointers:
            content = ContentKind.LFS
        elif _SYMLINK in raw.modes and content is not ContentKind.UNREADABLE:
            content = ContentKind.SYMLINK
        change = ChangeKind.MODE if _has_new_mode(raw) else raw.change
        file = FileChange(path=raw.path, change=change, content=content, old_path=raw.old_path, size=size)
        (countable if content in {ContentKind.TEXT, ContentKind.SYMLINK} else others).append(file)
    return countable, others


def _has_new_mode(raw: _Raw) -> bool:
    """Return whether the mode changed. The line counts show later whether the content changed too."""
    return raw.change is ChangeKind.MODIFIED and raw.modes[0] != raw.modes[1]


def change_kind(snapshot: CloneSnapshot, path: str) -> tuple[ContentKind, int | None]:
    """Return the kind and size of the file at a path of the work tree, without reading it."""
    try:
        descriptor = clone_files.open_below(snapshot.tree, path)
    except FileNotFoundError:
        return ContentKind.TEXT, None
    except UnknownStateError:
        return (ContentKind.SYMLINK if _is_link(snapshot, path) else ContentKind.UNREADABLE), None
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return (ContentKind.HUGE if size >= HUGE else ContentKind.TEXT), size


def _is_link(snapshot: CloneSnapshot, path: str) -> bool:
    """Return whether a path is a symbolic link. git compares the target of a link."""
    try:
        with clone_files.parent_directory(snapshot.tree, path) as (parent, name):
            return stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode)
    except (OSError, UnknownStateError):
        return False


def _count_changed_lines(
    snapshot: CloneSnapshot, base: str, files: list[FileChange]
) -> dict[str, tuple[int, int] | None]:
    """Return the lines added and deleted in each file, None for a binary one. `files` must be readable."""
    counts: dict[str, tuple[int, int] | None] = {}
    for at in range(0, len(files), _ARGUMENTS):
        some = [path for file in files[at : at + _ARGUMENTS] for path in (file.old_path, file.path) if path]
        fields = iter(snapshot.git.run(*DIFF, "--numstat", "-z", base, "--", *some).split(b"\0"))
        for entry in fields:
            if not entry:
                continue
            added, deleted, path = entry.split(b"\t", 2)
            if not path:  # renamed: the old and the new name follow
                next(fields, b"")
                path = next(fields, b"")
            counts[os.fsdecode(path)] = None if added == b"-" else (int(added), int(deleted))
    return counts


def _with_lines(file: FileChange, counts: tuple[int, int] | None) -> FileChange:
    only_mode = file.change is ChangeKind.MODE and counts is not None and not any(counts)
    change = ChangeKind.MODIFIED if file.change is ChangeKind.MODE and not only_mode else file.change
    if counts is None:
        return file if file.content is ContentKind.SYMLINK else replace(file, change=change, content=ContentKind.BINARY)
    return replace(file, change=change, added=counts[0], deleted=counts[1])


def _list_untracked(snapshot: CloneSnapshot, found: worktree_status.Status, known: set[str]) -> list[FileChange]:
    """Return each untracked file, also those in untracked directories. Lines are counted up to a number of bytes."""
    if not found.untracked and not found.added:
        return []
    listed = snapshot.git.run("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    paths = [path for raw in listed if raw and (path := os.fsdecode(raw)) not in known]
    if len(paths) > MOST_UNTRACKED:
        snapshot.notes.append(f"{len(paths) - MOST_UNTRACKED} more untracked files are not listed.")
    files = []
    budget = _COUNTED
    for path in paths[:MOST_UNTRACKED]:
        change = _untracked_kind(found, path)
        if path.endswith("/"):  # a nested repository
            files.append(FileChange(path=path, change=change, content=ContentKind.SUBMODULE))
            continue
        content, size = change_kind(snapshot, path)
        lines = None
        if content is ContentKind.TEXT and size is not None and size <= budget:
            budget -= size
            data = read(snapshot, path, HUGE)
            content, lines = (ContentKind.BINARY, None) if is_binary(data) else (content, count_lines(data))
        files.append(FileChange(path=path, change=change, content=content, added=lines, size=size))
    return files


def _untracked_kind(found: worktree_status.Status, path: str) -> ChangeKind:
    if path in found.conflicted:
        return ChangeKind.CONFLICTED
    return ChangeKind.ADDED if path in found.added else ChangeKind.UNTRACKED


def read(snapshot: CloneSnapshot, path: str, most: int) -> bytes:
    """Return the content of a file of the work tree, at most `most` bytes; b'' if it does not exist."""
    try:
        descriptor = clone_files.open_below(snapshot.tree, path)
    except FileNotFoundError:
        return b""
    try:
        return clone_files.read_descriptor(descriptor, most)
    finally:
        os.close(descriptor)


def is_binary(data: bytes) -> bool:
    """Return whether data is binary by git's rule: a NUL in the first 8000 bytes."""
    return b"\0" in data[:8000]


def count_lines(data: bytes) -> int:
    """Return the number of lines, including a last line without a newline."""
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
