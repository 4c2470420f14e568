"""Which files of a session differ from a commit, how, and by how many lines."""

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
"""Bytes from which a file is not diffed: git takes it for binary then, as `core.bigFileThreshold` says."""

DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "--no-color", "--find-renames")
MOST_UNTRACKED = 5_000
_COUNTED = 64 << 20  # bytes of untracked files whose lines are counted
_ARGUMENTS = 1_000  # paths on one command line
_MOST_NAMED = 200_000  # letters of changed paths, with which a diff still names each to git; else moves are not told
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
    """One line of `--raw`: what git compared."""

    change: ChangeKind
    path: str
    old_path: str
    modes: tuple[str, str]
    old_blob: str


@dataclass(frozen=True, slots=True)
class ChangeSurvey:
    """Every changed file by its path.

    `loose` are those that git's diff does not know, for no commit has them; `moved` those that it would tell as
    deleted in one place and not know in the other.
    """

    against: DiffBase
    base: str
    files: Mapping[str, FileChange]
    loose: frozenset[str]
    moved: frozenset[str]
    notes: tuple[str, ...]

    def changes(self) -> ChangeSet:
        """The files by path."""
        files = tuple(self.files[path] for path in sorted(self.files))
        return ChangeSet(against=self.against, base=self.base, files=files, notes=self.notes)


def list_changes(view: CloneSnapshot, against: DiffBase) -> ChangeSurvey:
    """The changed files with their line counts."""
    base = view.base_of(against)
    begun = worktree_status.begin(view)
    try:
        compared = list(_raw(view.sight.git(*DIFF, "--raw", "-z", "--abbrev=64", base, "--")))
        found = worktree_status.read(view, begun)
    finally:
        worktree_status.end(begun)
    sound, files = _sorted_out(view, compared)
    counts = _numbers(view, base, sound)
    files += [_with_lines(file, counts[file.path]) if file.path in counts else file for file in sound]
    files = [replace(f, change=ChangeKind.CONFLICTED) if f.path in found.conflicted else f for f in files]
    loose = _untracked(view, found, {file.path for file in files})
    notes = (*view.notes, *clone_status.uncounted_locations(view))
    if found.staged_only:
        notes += (f"{len(found.staged_only)} files are staged otherwise than on disk; the disk is shown.",)
    moved = _moved(view, compared, files, loose)
    left = {file.old_path for file in moved.values()}
    files = [file for file in files if file.path not in left]
    loose = [file for file in loose if file.path not in moved]
    by_path = {file.path: file for file in (*files, *loose, *moved.values())}
    return ChangeSurvey(against, base, by_path, frozenset(file.path for file in loose), frozenset(moved), notes)


def _moved(
    view: CloneSnapshot, compared: list[_Raw], files: list[FileChange], loose: list[FileChange]
) -> dict[str, FileChange]:
    """New path → what was renamed in the work tree alone, its content unchanged."""
    deleted = {file.path for file in files if file.change is ChangeKind.DELETED}
    if sum(len(file.path) for file in files) > _MOST_NAMED:
        return {}
    gone = {raw.path: (raw.modes[0], raw.old_blob) for raw in compared if raw.path in deleted}
    pairs = renames.detect_renames(view, gone, loose)
    found = {}
    for file in loose:
        if old := pairs.get(file.path):
            lines = 0 if file.content is ContentKind.TEXT else None
            found[file.path] = replace(file, change=ChangeKind.RENAMED, old_path=old, added=lines, deleted=lines)
    return found


def _raw(output: bytes) -> Iterator[_Raw]:
    fields = iter(output.split(b"\0"))
    for head in fields:
        if not head.startswith(b":"):
            continue
        old_mode, new_mode, old_blob, _, letter = head[1:].decode().split(" ")
        old_path = os.fsdecode(next(fields, b""))
        path = os.fsdecode(next(fields, b"")) if letter[0] in "RC" else old_path
        change = _CHANGES.get(letter[0], ChangeKind.MODIFIED)
        yield _Raw(change, path, old_path if change is ChangeKind.RENAMED else "", (old_mode, new_mode), old_blob)


def _sorted_out(view: CloneSnapshot, compared: list[_Raw]) -> tuple[list[FileChange], list[FileChange]]:
    """Those whose lines git may count, and the others: LFS files, submodules, what cannot be read or is too large."""
    modified = {raw.path: raw.old_blob for raw in compared if raw.change is not ChangeKind.ADDED}
    told = lfs_files.find_pointers(view, modified)
    same, _ = lfs_files.unchanged_lfs_files(view, {path: modified[path] for path in told}) if told else (set(), 0)
    sound: list[FileChange] = []
    others: list[FileChange] = []
    for raw in compared:
        if raw.path in same:
            continue
        content, size = (
            change_kind(view, raw.path) if raw.change is not ChangeKind.DELETED else (ContentKind.TEXT, None)
        )
        if _GITLINK in raw.modes:
            content = ContentKind.SUBMODULE
        elif raw.path in told:
            content = ContentKind.LFS
        elif _SYMLINK in raw.modes and content is not ContentKind.UNREADABLE:
            content = ContentKind.SYMLINK
        change = ChangeKind.MODE if _only_mode(raw) else raw.change
        file = FileChange(path=raw.path, change=change, content=content, old_path=raw.old_path, size=size)
        countable = content in {ContentKind.TEXT, ContentKind.SYMLINK}
        (sound if countable else others).append(file)
    return sound, others


def _only_mode(raw: _Raw) -> bool:
    """Whether its mode changed; its lines, counted later, say whether that is all."""
    return raw.change is ChangeKind.MODIFIED and raw.modes[0] != raw.modes[1]


def change_kind(view: CloneSnapshot, path: str) -> tuple[ContentKind, int | None]:
    """What lies at a path of the work tree, and its size; nothing is read."""
    try:
        descriptor = clone_files.open_below(view.tree, path)
    except FileNotFoundError:
        return ContentKind.TEXT, None
    except UnknownStateError:
        return (ContentKind.SYMLINK if _is_link(view, path) else ContentKind.UNREADABLE), None
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return (ContentKind.HUGE if size >= HUGE else ContentKind.TEXT), size


def _is_link(view: CloneSnapshot, path: str) -> bool:
    """Whether the last step of a path is a symlink, which git compares by where it points."""
    *parents, name = path.split("/")
    try:
        descriptor = os.dup(view.tree)
        for part in parents:
            inner = clone_files.open_directory(part, descriptor)
            os.close(descriptor)
            descriptor = inner
    except UnknownStateError:
        os.close(descriptor)
        return False
    try:
        return stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _numbers(view: CloneSnapshot, base: str, files: list[FileChange]) -> dict[str, tuple[int, int] | None]:
    """Lines added and deleted in each file; None for binary ones. Only what can be read is asked for."""
    counts: dict[str, tuple[int, int] | None] = {}
    for at in range(0, len(files), _ARGUMENTS):
        some = [path for file in files[at : at + _ARGUMENTS] for path in (file.old_path, file.path) if path]
        fields = iter(view.sight.git(*DIFF, "--numstat", "-z", base, "--", *some).split(b"\0"))
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


def _untracked(view: CloneSnapshot, found: worktree_status.Status, known: set[str]) -> list[FileChange]:
    """Each file that no commit has, directories resolved, with its lines counted while that is cheap."""
    if not found.untracked and not found.added:
        return []
    listed = view.sight.git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    paths = [path for raw in listed if raw and (path := os.fsdecode(raw)) not in known]
    if len(paths) > MOST_UNTRACKED:
        view.notes.append(f"{len(paths) - MOST_UNTRACKED} more untracked files are not listed.")
    files = []
    budget = _COUNTED
    for path in paths[:MOST_UNTRACKED]:
        change = _loose(found, path)
        if path.endswith("/"):  # a repository within this one
            files.append(FileChange(path=path, change=change, content=ContentKind.SUBMODULE))
            continue
        content, size = change_kind(view, path)
        lines = None
        if content is ContentKind.TEXT and size is not None and size <= budget:
            budget -= size
            data = read(view, path, HUGE)
            content, lines = (ContentKind.BINARY, None) if is_binary(data) else (content, count_lines(data))
        files.append(FileChange(path=path, change=change, content=content, added=lines, size=size))
    return files


def _loose(found: worktree_status.Status, path: str) -> ChangeKind:
    if path in found.conflicted:
        return ChangeKind.CONFLICTED
    return ChangeKind.ADDED if path in found.added else ChangeKind.UNTRACKED


def read(view: CloneSnapshot, path: str, most: int) -> bytes:
    """What a file of the work tree holds, at most `most` bytes; nothing if it is gone."""
    try:
        descriptor = clone_files.open_below(view.tree, path)
    except FileNotFoundError:
        return b""
    try:
        return clone_files.read_descriptor(descriptor, most)
    finally:
        os.close(descriptor)


def is_binary(data: bytes) -> bool:
    """As git judges it: by a NUL near the beginning."""
    return b"\0" in data[:8000]


def count_lines(data: bytes) -> int:
    """Lines, the last one counted even if it does not end."""
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
