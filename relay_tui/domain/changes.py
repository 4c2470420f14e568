"""State of a session's clone as frozen values: status, changed files, diffs.

Every name and text in these values comes from a session and is hostile: pass it through `text` before showing it.
File names are decoded with `os.fsdecode`, so they can still open the file.
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
class CloneStatus:
    """Status of a session's clone. A count of None could not be determined; `notes` has the reasons."""

    branch: str
    """Current branch; '' if HEAD is detached."""
    head: str
    """Commit hash; '' on a branch without a commit."""
    changed: int
    added: int
    deleted: int
    untracked: int
    conflicted: int
    stashes: int
    upstream: str = ""
    """Upstream branch, for example 'main', or ''."""
    ahead: int | None = None
    behind: int | None = None
    unpushed: int | None = None
    """Commits on any branch, tag or stash that are missing from everything the host fetched from the upstream."""
    last: Commit | None = None
    notes: tuple[str, ...] = ()
    """Parts that could not be counted, as text: changes inside submodules, unreadable LFS files."""

    @property
    def dirty(self) -> int:
        """Number of files with uncommitted changes, untracked files included."""
        return self.changed + self.added + self.deleted + self.untracked + self.conflicted


class DiffBase(StrEnum):
    """Base that changes are compared with."""

    HEAD = "head"
    BRANCH_POINT = "branch-point"
    """Commit at which the session's branch left its base branch."""
    UPSTREAM = "upstream"


class ChangeKind(StrEnum):
    """Kind of change to a file."""

    MODIFIED = "modified"
    ADDED = "added"
    DELETED = "deleted"
    RENAMED = "renamed"
    MODE = "mode"
    """Only the mode changed."""
    TYPE = "type"
    """The file became a symlink, or a symlink became a file."""
    UNTRACKED = "untracked"
    CONFLICTED = "conflicted"


class ContentKind(StrEnum):
    """Kind of content of a changed file. It decides how the diff is shown."""

    TEXT = "text"
    BINARY = "binary"
    HUGE = "huge"
    """Too large for a diff."""
    LFS = "lfs"
    SUBMODULE = "submodule"
    SYMLINK = "symlink"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One changed file. Line counts are None where there are no lines to count."""

    path: str
    change: ChangeKind
    content: ContentKind = ContentKind.TEXT
    added: int | None = None
    deleted: int | None = None
    old_path: str = ""
    """Former path of a renamed file."""
    size: int | None = None
    """Current size in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """Changed files, sorted by path. `base` is the commit they are compared with; `notes` lists omissions."""

    against: DiffBase
    base: str
    files: tuple[FileChange, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Unified diff from git, truncated if `cut`. `path` is '' for the diff of the whole session."""

    path: str
    text: bytes
    cut: bool = False
