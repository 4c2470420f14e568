"""What a session's refs are called in a bundle: a clone of it fetches branches and tags, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable


def bundle_names(names: Iterable[str]) -> dict[str, str]:
    """`heads/topic`, `stash/0`, `detached` → the ref in the bundle; free of the session's own branches."""
    known = list(names)
    prefix = "relay"
    while any(name == f"heads/{prefix}" or name.startswith(f"heads/{prefix}/") for name in known):
        prefix += "-saved"
    return {name: _ref(name, prefix) for name in known}


def _ref(name: str, prefix: str) -> str:
    if name.startswith(("heads/", "tags/")):
        return f"refs/{name}"
    if name.startswith(("stash/", "odd/")) or "/" not in name:
        return f"refs/heads/{prefix}/{name.replace('/', '-')}"
    return f"refs/tags/{prefix}/{name}"  # it may be no commit, which no branch can be at
