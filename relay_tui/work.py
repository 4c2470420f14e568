"""What is in a session's clone, as values: facts, changes, what is at risk, what would be pushed. All frozen.

Every name and text in here was written by a session and is hostile: it goes through `text` before it is shown.
File names are `os.fsdecode`d, so that they still open the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit. `authored_at` is UTC, ISO 8601; `subject` is its first line."""

    hash: str
    subject: str
    author: str
    authored_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What git says about a session's clone. A count that is None is not known; `notes` say why."""

    branch: str
    """What its HEAD is on; '' when detached."""
    head: str
    """The commit's hash; '' on a branch without a commit."""
    changed: int
    added: int
    deleted: int
    untracked: int
    conflicted: int
    stashes: int
    upstream: str = ""
    """The branch of the remote that it follows ('main'), or ''."""
    ahead: int | None = None
    behind: int | None = None
    unpushed: int | None = None
    """Commits on any branch, tag or stash that nothing the host fetched from the upstream has."""
    last: Commit | None = None
    notes: tuple[str, ...] = ()
    """What could not be counted, in words: submodules' own changes, LFS files that could not be read."""

    @property
    def dirty(self) -> int:
        """Files that no commit has."""
        return self.changed + self.added + self.deleted + self.untracked + self.conflicted


class Against(StrEnum):
    """What changes are told against."""

    HEAD = "head"
    BRANCH_POINT = "branch-point"
    """Where the session's branch left its base branch."""
    UPSTREAM = "upstream"


class Change(StrEnum):
    """What became of a file."""

    MODIFIED = "modified"
    ADDED = "added"
    DELETED = "deleted"
    RENAMED = "renamed"
    MODE = "mode"
    """Only its mode."""
    TYPE = "type"
    """It became a symlink, or ceased to be one."""
    UNTRACKED = "untracked"
    CONFLICTED = "conflicted"


class Content(StrEnum):
    """What kind of thing a changed file is; it says how its diff is shown."""

    TEXT = "text"
    BINARY = "binary"
    HUGE = "huge"
    """Too large to be diffed."""
    LFS = "lfs"
    SUBMODULE = "submodule"
    SYMLINK = "symlink"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One changed file. Line counts are None where there are no lines to count."""

    path: str
    change: Change
    content: Content = Content.TEXT
    added: int | None = None
    deleted: int | None = None
    old_path: str = ""
    """Where it was, if it was renamed."""
    size: int | None = None
    """Bytes on disk now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The changed files, by path. `base` is the commit they are told against; `notes` say what was left out."""

    against: Against
    base: str
    files: tuple[FileChange, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A unified diff as git wrote it, cut at the end if `cut`. `path` is '' for the whole session's."""

    path: str
    text: bytes
    cut: bool = False


class Hazard(StrEnum):
    """A kind of work that would be lost with a session."""

    DIRTY = "dirty"
    UNTRACKED = "untracked"
    IGNORED = "ignored"
    """Ignored files that are large enough to have cost something."""
    STASHED = "stashed"
    UNPUSHED = "unpushed"
    UNKNOWN = "unknown"
    """git could not tell; it counts as unsaved."""


KNOWN_TO_GO = frozenset({Hazard.IGNORED, Hazard.UNKNOWN})
"""Work that no copy saves: whoever removes a session all the same was told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRisk:
    """One kind of work that would be lost: how much of it, where, and some of it by name."""

    hazard: Hazard
    count: int
    branch: str = ""
    size: int | None = None
    """Bytes, where they were measured."""
    examples: tuple[str, ...] = ()
    """File names, or commits' hashes and subjects; the first few."""
    reason: str = ""
    """Why it is UNKNOWN."""
    session: str = ""
    """Whose it is, where several are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What stands in the way of removing a session. `safe` tells of work that looks unpushed and is not, and why."""

    risks: tuple[AtRisk, ...] = ()
    safe: tuple[str, ...] = ()
    trash: str = ""
    """A warning when the trash would take more of the disk than it may, else ''."""


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
class Pushed:
    """What came of a push. `said` are the remote's own lines; `links` the URLs in them ("create a pull request")."""

    branch: str
    commit: str
    said: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
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
class Exported:
    """What an export brought, in the session's terms: `topic`, `stash/0`, `detached`, `uncommitted`."""

    branch: str
    """What is checked out there, or the branch that was made."""
    brought: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Work that did not go along, and that the upstream has not got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What bringing a session up to date came to. `said` are git's lines from inside the container."""

    branch: str
    """The upstream's branch."""
    commit: str
    """Its newest commit."""
    count: int
    """Commits that the session lacked; none, and nothing was done."""
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """What was brought to safety. `words` say where it is, and how to get at it."""

    words: str
    saved: frozenset[Hazard]
    """The kinds of work that nobody need miss now."""


class Rescue(StrEnum):
    """How a session's work is brought to safety before it is removed."""

    PUSH = "push"
    KEEP = "keep"
    """As refs/relay/<session id>/* in the project's base clone."""
    BUNDLE = "bundle"
