"""Files that were moved in the work tree and kept their content, which git tells only once they are committed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping

from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import ChangeKind, ContentKind, FileChange

_MOST = 300  # files that are gone, and files that are new, which are compared
_BYTES = 64 << 20  # of new files that are hashed
_MODES = ("100644", "100755")
_HASHES = {40: "sha1", 64: "sha256"}


def detect_renames(
    view: CloneSnapshot, gone: Mapping[str, tuple[str, str]], loose: Iterable[FileChange]
) -> dict[str, str]:
    """New path → old path, of new files that are byte for byte, and by mode, what a file that is gone was.

    `gone` has mode and blob of each path. Empty files are nobody's: too many are alike.
    """
    regular = {path: of for path, of in sorted(gone.items())[:_MOST] if of[0] in _MODES}
    candidates = [file for file in loose if _may_be_moved(file)]
    if not regular or not candidates:
        return {}
    sizes = _sizes(view, {blob for _, blob in regular.values()})
    alike = [file for file in candidates if file.size in sizes][:_MOST]
    left: dict[tuple[str, str], list[str]] = {}
    for path, of in regular.items():
        left.setdefault(of, []).append(path)
    width = len(next(iter(regular.values()))[1])
    found: dict[str, str] = {}
    budget = _BYTES
    for file in alike:
        budget -= file.size or 0
        if budget < 0:
            break
        olds = left.get(_identity(view, file.path, width), [])
        if olds:
            name = file.path.rpartition("/")[2]
            old = next((path for path in olds if path.rpartition("/")[2] == name), olds[0])
            olds.remove(old)
            found[file.path] = old
    return found


def _may_be_moved(file: FileChange) -> bool:
    new = file.change in {ChangeKind.ADDED, ChangeKind.UNTRACKED}
    return new and file.content in {ContentKind.TEXT, ContentKind.BINARY} and bool(file.size)


def _sizes(view: CloneSnapshot, blobs: set[str]) -> set[int]:
    """How many bytes these blobs have."""
    names = "".join(f"{name}\n" for name in sorted(blobs)).encode()
    told = view.sight.git("cat-file", "--batch-check=%(objectsize)", stdin=names).decode().split("\n")
    return {int(line) for line in told if line.isdigit()}


def _identity(view: CloneSnapshot, path: str, width: int) -> tuple[str, str]:
    """Mode and hash as git would have them, were the file committed as it lies there."""
    try:
        descriptor = files.open_below(view.tree, path)
    except FileNotFoundError:
        return "", ""
    try:
        found = os.fstat(descriptor)
        data = files.read_descriptor(descriptor, _BYTES)
    finally:
        os.close(descriptor)
    blob = hashlib.new(_HASHES[width], b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return _MODES[bool(found.st_mode & 0o100)], blob.hexdigest()
