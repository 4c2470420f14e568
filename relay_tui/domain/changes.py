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
class CloneStatus:
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


class DiffBase(StrEnum):
    """What changes are told against."""

    HEAD = "head"
    BRANCH_POINT = "branch-point"
    """Where the session's branch left its base branch."""
    UPSTREAM = "upstream"


class ChangeKind(StrEnum):
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


class ContentKind(StrEnum):
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
    change: ChangeKind
    content: ContentKind = ContentKind.TEXT
    added: int | None = None
    deleted: int | None = None
    old_path: str = ""
    """Where it was, if it was renamed."""
    size: int | None = None
    """Bytes on disk now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """The changed files, by path. `base` is the commit they are told against; `notes` say what was left out."""

    against: DiffBase
    base: str
    files: tuple[FileChange, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A unified diff as git wrote it, cut at the end if `cut`. `path` is '' for the whole session's."""

    path: str
    text: bytes
    cut: bool = False
