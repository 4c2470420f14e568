"""Results of moving commits: push, save, export, update."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay_tui.domain.changes import Commit
from relay_tui.domain.unsaved_work import RiskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """What a push would send. `commit` is the one that was looked at: nothing newer goes."""

    remote: str
    """The upstream's URL, without a secret."""
    branch: str
    commit: str
    commits: tuple[Commit, ...]
    """What the remote does not have yet, the newest first; the first hundred."""
    count: int
    new_branch: bool
    """Whether the remote has no such branch yet."""
    diverged: bool
    """Whether the remote has commits that the session lacks: it would be rejected."""
    lfs_files: int = 0
    """Contents of LFS files that are sent along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What came of a push. `said` are the remote's own lines; `links` the URLs in them ("create a pull request")."""

    branch: str
    commit: str
    said: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRef:
    """Work of a session, removed or not, that lies in its project's base clone and that the upstream does not have."""

    session_id: str
    ref: str
    """refs/relay/<session id>/heads/<branch>, …/stash/<number> or …/detached."""
    commit: Commit
    count: int
    """Commits that the upstream does not have."""
    name: str = ""
    """The session's, as it was called when this was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export brought, in the session's terms: `topic`, `stash/0`, `detached`, `uncommitted`."""

    branch: str
    """What is checked out there, or the branch that was made."""
    brought: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Work that did not go along, and that the upstream has not got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResult:
    """What bringing a session up to date came to. `said` are git's lines from inside the container."""

    branch: str
    """The upstream's branch."""
    commit: str
    """Its newest commit."""
    count: int
    """Commits that the session lacked; none, and nothing was done."""
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveResult:
    """What was brought to safety. `words` say where it is, and how to get at it."""

    words: str
    saved: frozenset[RiskKind]
    """The kinds of work that nobody need miss now."""


def bundle_ref_names(names: Iterable[str]) -> dict[str, str]:
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
