"""Results of moving commits: push, save, export, update."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay_tui.domain.changes import Commit
from relay_tui.domain.unsaved_work import RiskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """Commits that a push would send. The push sends exactly `commit`, even if newer commits exist."""

    remote: str
    """URL of the upstream, without a secret."""
    branch: str
    commit: str
    commits: tuple[Commit, ...]
    """Commits that the remote lacks, newest first, at most one hundred."""
    count: int
    new_branch: bool
    """Whether the branch is new on the remote."""
    diverged: bool
    """Whether the remote has commits that the session lacks. The remote would reject the push."""
    lfs_files: int = 0
    """Number of LFS objects that are sent too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """Result of a push. `said` has the remote's messages, `links` the URLs in them ("create a pull request")."""

    branch: str
    commit: str
    said: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRef:
    """Work of a session that is saved in the base clone and that the upstream lacks. The session may be removed."""

    session_id: str
    ref: str
    """refs/relay/<session id>/heads/<branch>, …/stash/<number> or …/detached."""
    commit: Commit
    count: int
    """Number of commits that the upstream lacks."""
    name: str = ""
    """Name of the session at the time of saving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """Result of an export. Names are the session's: `topic`, `stash/0`, `detached`, `uncommitted`."""

    branch: str
    """Branch that is checked out in the export, or that was created."""
    brought: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Work that was not exported and that the upstream lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResult:
    """Result of an update. `said` has git's output from inside the container."""

    branch: str
    """Upstream branch."""
    commit: str
    """Newest commit of that branch."""
    count: int
    """Number of commits that the session lacked. 0: nothing was done."""
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveResult:
    """Result of saving. `words` says where the work is and how to retrieve it."""

    words: str
    saved: frozenset[RiskKind]
    """Kinds of unsaved work that are saved now."""


def bundle_ref_names(names: Iterable[str]) -> dict[str, str]:
    """Map `heads/topic`, `stash/0`, `detached` to ref names in a bundle that no branch of the session uses."""
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
    return f"refs/tags/{prefix}/{name}"  # the object may not be a commit, and branches can only point to commits
