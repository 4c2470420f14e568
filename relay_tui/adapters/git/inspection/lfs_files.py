"""LFS files: git, without its filter, takes each that was touched for changed. We compare size and sum ourselves."""

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

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_MOST_POINTER = 1024  # bytes: so says the format
_MOST_FILES = 5_000
_SECONDS = 20.0


_NO_POINTER = ("", -1)

_sums: LruCache[tuple[int, ...], str] = LruCache(10_000)
"""Sums of files by their identity, size and times: the time a file's data last changed cannot be set back."""

_pointers: LruCache[tuple[Path, str], tuple[str, int]] = LruCache(50_000)
"""What a blob of a session points to."""


def _sum(descriptor: int, deadline: float) -> str:
    """The file's sha256 in hex; '' when there was no time left."""
    found = os.fstat(descriptor)
    key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if known := _sums.get(key):
        return known
    digest = hashlib.sha256()
    while piece := os.read(descriptor, 1 << 20):
        digest.update(piece)
        if time.monotonic() > deadline:
            return ""
    return _sums.put(key, digest.hexdigest())


def find_pointers(view: CloneSnapshot, blobs: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Of paths and their blobs, those whose blob is a pointer: the sum and size it tells."""
    wanted = dict(list(blobs.items())[:_MOST_FILES])
    eye = view.clone.shadow_dir
    if asked := sorted({blob for blob in wanted.values() if (eye, blob) not in _pointers}):
        told = _read(view, asked)
        for blob in asked:
            _pointers.put((eye, blob), told.get(blob, _NO_POINTER))
    found = {path: _pointers.get((eye, blob)) or _NO_POINTER for path, blob in wanted.items()}
    return {path: pointer for path, pointer in found.items() if pointer != _NO_POINTER}


def _read(view: CloneSnapshot, names: list[str]) -> dict[str, tuple[str, int]]:
    """Of these blobs, those that are pointers."""
    sizes = view.sight.git("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=_lines(names)).split(b"\n")
    small = [
        name
        for name, line in zip(names, sizes, strict=False)
        if line.startswith(b"blob ") and int(line.split()[1]) <= _MOST_POINTER
    ]
    if not small:
        return {}
    output = view.sight.git("cat-file", "--batch", stdin=_lines(small))
    told: dict[str, tuple[str, int]] = {}
    at = 0
    for name in small:
        head, _, _ = output[at : at + 200].partition(b"\n")
        size = int(head.rsplit(b" ", 1)[1])
        begin = at + len(head) + 1
        at = begin + size + 1
        if found := _POINTER.fullmatch(output[begin : begin + size]):
            told[name] = (found[1].decode(), int(found[2]))
    return told


def unchanged_lfs_files(view: CloneSnapshot, blobs: Mapping[str, str]) -> tuple[set[str], int]:
    """The paths whose file is what the pointer in the commit tells of, and how many could not be read in time."""
    deadline = time.monotonic() + _SECONDS
    same, unread = set(), 0
    for path, (digest, size) in find_pointers(view, blobs).items():
        try:
            descriptor = files.open_below(view.tree, path)
        except (FileNotFoundError, UnknownStateError):
            continue
        try:
            if os.fstat(descriptor).st_size != size:
                continue
            said = _sum(descriptor, deadline)
        finally:
            os.close(descriptor)
        if said == digest:
            same.add(path)
        unread += not said
    return same, unread


def _lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
