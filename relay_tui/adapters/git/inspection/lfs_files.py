"""Git LFS pointers and files.

git, run without the LFS filter, reports each touched LFS file as changed. This module compares size and checksum.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.errors import UnknownStateError

POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
"""An LFS pointer: checksum and size of the file."""

MOST_POINTER = 1024
"""Bytes of the longest pointer, by the format's specification."""

_MOST_FILES = 5_000
_SECONDS = 20.0  # for the checksums of one query
_NO_POINTER = ("", -1)

_checksums: LruCache[tuple[int, ...], str] = LruCache(10_000)
"""Checksums by device, inode, size, mtime and ctime (ns). A session cannot set a file's ctime back."""

_pointers: LruCache[tuple[Path, str], tuple[str, int]] = LruCache(50_000)
"""Pointers (checksum, size), by shadow repository and blob."""


def _checksum(descriptor: int, deadline: float) -> str:
    """Return the file's SHA-256 in hex; '' after the deadline."""
    found = os.fstat(descriptor)
    key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if known := _checksums.get(key):
        return known
    digest = hashlib.sha256()
    while piece := os.read(descriptor, 1 << 20):
        digest.update(piece)
        if time.monotonic() > deadline:
            return ""
    return _checksums.put(key, digest.hexdigest())


def find_pointers(snapshot: CloneSnapshot, blobs: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Return path → (checksum, size) of each path whose blob in `blobs` (path → blob) is a pointer."""
    wanted = dict(list(blobs.items())[:_MOST_FILES])
    shadow_dir = snapshot.clone.shadow_dir
    if unknown := sorted({blob for blob in wanted.values() if (shadow_dir, blob) not in _pointers}):
        pointers = _read_pointers(snapshot, unknown)
        for blob in unknown:
            _pointers.put((shadow_dir, blob), pointers.get(blob, _NO_POINTER))
    found = {path: _pointers.get((shadow_dir, blob)) or _NO_POINTER for path, blob in wanted.items()}
    return {path: pointer for path, pointer in found.items() if pointer != _NO_POINTER}


def _read_pointers(snapshot: CloneSnapshot, names: list[str]) -> dict[str, tuple[str, int]]:
    """Return blob → (checksum, size) of the blobs that are pointers."""
    sizes = snapshot.git.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=_lines(names)).split(b"\n")
    small = [
        name
        for name, line in zip(names, sizes, strict=False)
        if line.startswith(b"blob ") and int(line.split()[1]) <= MOST_POINTER
    ]
    if not small:
        return {}
    output = snapshot.git.run("cat-file", "--batch", stdin=_lines(small))
    pointers: dict[str, tuple[str, int]] = {}
    position = 0
    for name in small:
        head, _, _ = output[position : position + 200].partition(b"\n")
        size = int(head.rsplit(b" ", 1)[1])
        start = position + len(head) + 1
        position = start + size + 1
        if found := POINTER.fullmatch(output[start : start + size]):
            pointers[name] = (found[1].decode(), int(found[2]))
    return pointers


def unchanged_lfs_files(snapshot: CloneSnapshot, blobs: Mapping[str, str]) -> tuple[set[str], int]:
    """Return the paths whose file matches the pointer in the commit, and the number of files not read in time."""
    deadline = time.monotonic() + _SECONDS
    same, unread = set(), 0
    for path, (digest, size) in find_pointers(snapshot, blobs).items():
        try:
            descriptor = files.open_below(snapshot.tree, path)
        except (FileNotFoundError, UnknownStateError):
            continue
        try:
            if os.fstat(descriptor).st_size != size:
                continue
            checksum = _checksum(descriptor, deadline)
        finally:
            os.close(descriptor)
        if checksum == digest:
            same.add(path)
        unread += not checksum
    return same, unread


def _lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
