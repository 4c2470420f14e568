"""Which files of a session differ from a commit, how, and by how many lines."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from relay_tui.adapters.git.look import facts, pointers, reader, renames, status
from relay_tui.adapters.git.look.view import View
from relay_tui.errors import UnknownStateError
from relay_tui.work import Against, Change, Changes, Content, FileChange

HUGE = 8 << 20
"""Bytes from which a file is not diffed: git takes it for binary then, as `core.bigFileThreshold` says."""

DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "--no-color", "--find-renames")
MOST_UNTRACKED = 5_000
_COUNTED = 64 << 20  # bytes of untracked files whose lines are counted
_ARGUMENTS = 1_000  # paths on one command line
_MOST_NAMED = 200_000  # letters of changed paths, with which a diff still names each to git; else moves are not told
_CHANGES = {
    "M": Change.MODIFIED,
    "A": Change.ADDED,
    "C": Change.ADDED,
    "D": Change.DELETED,
    "R": Change.RENAMED,
    "T": Change.TYPE,
}
_SYMLINK, _GITLINK = "120000", "160000"


@dataclass(frozen=True, slots=True)
class _Raw:
    """One line of `--raw`: what git compared."""

    change: Change
    path: str
    old_path: str
    modes: tuple[str, str]
    old_blob: str


@dataclass(frozen=True, slots=True)
class Survey:
    """Every changed file by its path.

    `loose` are those that git's diff does not know, for no commit has them; `moved` those that it would tell as
    deleted in one place and not know in the other.
    """

    against: Against
    base: str
    files: Mapping[str, FileChange]
    loose: frozenset[str]
    moved: frozenset[str]
    notes: tuple[str, ...]

    def changes(self) -> Changes:
        """The files by path."""
        files = tuple(self.files[path] for path in sorted(self.files))
        return Changes(against=self.against, base=self.base, files=files, notes=self.notes)


def look(view: View, against: Against) -> Survey:
    """The changed files with their line counts."""
    base = view.base_of(against)
    begun = status.begin(view)
    try:
        compared = list(_raw(view.sight.git(*DIFF, "--raw", "-z", "--abbrev=64", base, "--")))
        found = status.read(view, begun)
    finally:
        status.end(begun)
    sound, files = _sorted_out(view, compared)
    counts = _numbers(view, base, sound)
    files += [_with_lines(file, counts[file.path]) if file.path in counts else file for file in sound]
    files = [replace(f, change=Change.CONFLICTED) if f.path in found.conflicted else f for f in files]
    loose = _untracked(view, found, {file.path for file in files})
    notes = (*view.notes, *facts.uncounted(view))
    if found.staged_only:
        notes += (f"{len(found.staged_only)} files are staged otherwise than on disk; the disk is shown.",)
    moved = _moved(view, compared, files, loose)
    left = {file.old_path for file in moved.values()}
    files = [file for file in files if file.path not in left]
    loose = [file for file in loose if file.path not in moved]
    by_path = {file.path: file for file in (*files, *loose, *moved.values())}
    return Survey(against, base, by_path, frozenset(file.path for file in loose), frozenset(moved), notes)


def _moved(view: View, compared: list[_Raw], files: list[FileChange], loose: list[FileChange]) -> dict[str, FileChange]:
    """New path → what was renamed in the work tree alone, its content unchanged."""
    deleted = {file.path for file in files if file.change is Change.DELETED}
    if sum(len(file.path) for file in files) > _MOST_NAMED:
        return {}
    gone = {raw.path: (raw.modes[0], raw.old_blob) for raw in compared if raw.path in deleted}
    pairs = renames.paired(view, gone, loose)
    found = {}
    for file in loose:
        if old := pairs.get(file.path):
            lines = 0 if file.content is Content.TEXT else None
            found[file.path] = replace(file, change=Change.RENAMED, old_path=old, added=lines, deleted=lines)
    return found


def _raw(output: bytes) -> Iterator[_Raw]:
    fields = iter(output.split(b"\0"))
    for head in fields:
        if not head.startswith(b":"):
            continue
        old_mode, new_mode, old_blob, _, letter = head[1:].decode().split(" ")
        old_path = os.fsdecode(next(fields, b""))
        path = os.fsdecode(next(fields, b"")) if letter[0] in "RC" else old_path
        change = _CHANGES.get(letter[0], Change.MODIFIED)
        yield _Raw(change, path, old_path if change is Change.RENAMED else "", (old_mode, new_mode), old_blob)


def _sorted_out(view: View, compared: list[_Raw]) -> tuple[list[FileChange], list[FileChange]]:
    """Those whose lines git may count, and the others: LFS files, submodules, what cannot be read or is too large."""
    modified = {raw.path: raw.old_blob for raw in compared if raw.change is not Change.ADDED}
    told = pointers.pointed(view, modified)
    same, _ = pointers.unchanged(view, {path: modified[path] for path in told}) if told else (set(), 0)
    sound: list[FileChange] = []
    others: list[FileChange] = []
    for raw in compared:
        if raw.path in same:
            continue
        content, size = kind(view, raw.path) if raw.change is not Change.DELETED else (Content.TEXT, None)
        if _GITLINK in raw.modes:
            content = Content.SUBMODULE
        elif raw.path in told:
            content = Content.LFS
        elif _SYMLINK in raw.modes and content is not Content.UNREADABLE:
            content = Content.SYMLINK
        change = Change.MODE if _only_mode(raw) else raw.change
        file = FileChange(path=raw.path, change=change, content=content, old_path=raw.old_path, size=size)
        countable = content in {Content.TEXT, Content.SYMLINK}
        (sound if countable else others).append(file)
    return sound, others


def _only_mode(raw: _Raw) -> bool:
    """Whether its mode changed; its lines, counted later, say whether that is all."""
    return raw.change is Change.MODIFIED and raw.modes[0] != raw.modes[1]


def kind(view: View, path: str) -> tuple[Content, int | None]:
    """What lies at a path of the work tree, and its size; nothing is read."""
    try:
        descriptor = reader.open_below(view.tree, path)
    except FileNotFoundError:
        return Content.TEXT, None
    except UnknownStateError:
        return (Content.SYMLINK if _is_link(view, path) else Content.UNREADABLE), None
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return (Content.HUGE if size >= HUGE else Content.TEXT), size


def _is_link(view: View, path: str) -> bool:
    """Whether the last step of a path is a symlink, which git compares by where it points."""
    *parents, name = path.split("/")
    try:
        descriptor = os.dup(view.tree)
        for part in parents:
            inner = reader.open_directory(part, descriptor)
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


def _numbers(view: View, base: str, files: list[FileChange]) -> dict[str, tuple[int, int] | None]:
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
    only_mode = file.change is Change.MODE and counts is not None and not any(counts)
    change = Change.MODIFIED if file.change is Change.MODE and not only_mode else file.change
    if counts is None:
        return file if file.content is Content.SYMLINK else replace(file, change=change, content=Content.BINARY)
    return replace(file, change=change, added=counts[0], deleted=counts[1])


def _untracked(view: View, found: status.Status, known: set[str]) -> list[FileChange]:
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
            files.append(FileChange(path=path, change=change, content=Content.SUBMODULE))
            continue
        content, size = kind(view, path)
        lines = None
        if content is Content.TEXT and size is not None and size <= budget:
            budget -= size
            data = read(view, path, HUGE)
            content, lines = (Content.BINARY, None) if is_binary(data) else (content, count_lines(data))
        files.append(FileChange(path=path, change=change, content=content, added=lines, size=size))
    return files


def _loose(found: status.Status, path: str) -> Change:
    if path in found.conflicted:
        return Change.CONFLICTED
    return Change.ADDED if path in found.added else Change.UNTRACKED


def read(view: View, path: str, most: int) -> bytes:
    """What a file of the work tree holds, at most `most` bytes; nothing if it is gone."""
    try:
        descriptor = reader.open_below(view.tree, path)
    except FileNotFoundError:
        return b""
    try:
        return reader.read_descriptor(descriptor, most)
    finally:
        os.close(descriptor)


def is_binary(data: bytes) -> bool:
    """As git judges it: by a NUL near the beginning."""
    return b"\0" in data[:8000]


def count_lines(data: bytes) -> int:
    """Lines, the last one counted even if it does not end."""
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
