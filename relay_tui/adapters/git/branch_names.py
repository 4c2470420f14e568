"""Names of a base clone's branches, read from its files for shell completion: a git process would double the time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_HEADS = "refs/heads/"


def branch_names(base: Path) -> list[str]:
    """Return the names of the branches of the bare clone `base`, sorted.

    Bytes that are not UTF-8 become lone surrogates. Raises OSError if the clone cannot be read.
    """
    if (base / "reftable").is_dir():
        return _asked(base)
    return sorted({*_packed(base), *_loose(base / "refs/heads", "")})


def _packed(base: Path) -> Iterator[str]:
    """Yield the branches in packed-refs: lines of a hash, a space and the full name."""
    try:
        content = (base / "packed-refs").read_bytes()
    except FileNotFoundError:
        return
    for line in content.decode(errors="surrogateescape").split("\n"):
        if line.startswith(_HEADS, line.find(" ") + 1):
            yield line.partition(" ")[2].removeprefix(_HEADS)


def _loose(directory: Path, prefix: str) -> Iterator[str]:
    """Yield the branches that have a file of their own. A crash can leave an empty one, which git ignores."""
    with os.scandir(directory) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _loose(Path(entry.path), f"{name}/")
            elif not name.endswith(".lock") and entry.stat(follow_symlinks=False).st_size:
                yield name


def _asked(base: Path) -> list[str]:
    """Ask git, which alone can read the reftable format (git 2.45 and newer)."""
    from relay_tui.adapters.git import process

    outcome = process.run_git_capture(f"--git-dir={base}", "for-each-ref", "--format=%(refname)", _HEADS)
    lines = outcome.stdout.decode(errors="surrogateescape").split("\n")
    return sorted(line.removeprefix(_HEADS) for line in lines if line)
