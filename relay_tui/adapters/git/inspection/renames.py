"""Renames in the work tree of files with unchanged content. git detects them only after they are committed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping

from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import ChangeKind, ContentKind, FileChange

_MOST = 300  # deleted files, and new files, that are compared
_BYTES = 64 << 20  # of new files that are hashed
_MODES = ("100644", "100755")
_HASHES = {40: "sha1", 64: "sha256"}


def detect_renames(
    snapshot: CloneSnapshot, deleted: Mapping[str, tuple[str, str]], new_files: Iterable[FileChange]
) -> dict[str, str]:
    """Return new path → old path of each new file with the content and mode of a deleted one.

    `deleted` maps a path to mode and blob. Empty files are never renames: too many have the same content.
    """
    regular = {path: identity for path, identity in sorted(deleted.items())[:_MOST] if identity[0] in _MODES}
    candidates = [file for file in new_files if _may_be_renamed(file)]
    if not regular or not candidates:
        return {}
    sizes = _sizes(snapshot, {blob for _, blob in regular.values()})
    same_size = [file for file in candidates if file.size in sizes][:_MOST]
    unmatched: dict[tuple[str, str], list[str]] = {}
    for path, identity in regular.items():
        unmatched.setdefault(identity, []).append(path)
    width = len(next(iter(regular.values()))[1])
    found: dict[str, str] = {}
    budget = _BYTES
    for file in same_size:
        budget -= file.size or 0
        if budget < 0:
            break
        old_paths = unmatched.get(_identity(snapshot, file.path, width), [])
        if old_paths:
            name = file.path.rpartition("/")[2]
            old = next((path for path in old_paths if path.rpartition("/")[2] == name), old_paths[0])
            old_paths.remove(old)
            found[file.path] = old
    return found


def _may_be_renamed(file: FileChange) -> bool:
    new = file.change in {ChangeKind.ADDED, ChangeKind.UNTRACKED}
    return new and file.content in {ContentKind.TEXT, ContentKind.BINARY} and bool(file.size)


def _sizes(snapshot: CloneSnapshot, blobs: set[str]) -> set[int]:
    """Return the sizes of these blobs in bytes."""
    names = "".join(f"{name}\n" for name in sorted(blobs)).encode()
    lines = snapshot.git.run("cat-file", "--batch-check=%(objectsize)", stdin=names).decode().split("\n")
    return {int(line) for line in lines if line.isdigit()}


def _identity(snapshot: CloneSnapshot, path: str, width: int) -> tuple[str, str]:
    """Return the mode and hash that git would record if the file were committed now."""
    try:
        descriptor = files.open_below(snapshot.tree, path)
    except FileNotFoundError:
        return "", ""
    try:
        found = os.fstat(descriptor)
        data = files.read_descriptor(descriptor, _BYTES)
    finally:
        os.close(descriptor)
    blob = hashlib.new(_HASHES[width], b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return _MODES[bool(found.st_mode & 0o100)], blob.hexdigest()
