"""Port for inspecting a session's clone, which is untrusted, from the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.domain.changes import ChangeSet, CloneStatus, DiffBase, Patch
    from relay_tui.domain.unsaved_work import RemovalCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClone:
    """Paths and branches of a session's clone.

    `shadow_dir` is the shadow repository: a git directory outside the session, with which the host reads `work_dir`.
    """

    session_id: str
    work_dir: Path
    shadow_dir: Path
    base: Path
    branch: str
    """The branch that the session was created on."""
    base_branch: str
    name: str = ""
    """Name of the session, if known."""


class CloneInspector(Protocol):
    """Reads a session's clone without trusting it: executes nothing from it and follows no links in it.

    facts(), changes() and patch() raise GitError, kind 'unknown', if the state cannot be determined; guard() returns
    that as a risk. All raise FileSystemError if the data directory cannot be written.
    """

    def confinement(self) -> str:
        """Return the sandbox around git on the host: 'Landlock …', 'bubblewrap' or 'none …'."""
        ...

    def prepare(self, clone: SessionClone) -> None:
        """Create the shadow repository of a new clone, before its container exists. A missing one is created later."""
        ...

    def facts(self, clone: SessionClone) -> CloneStatus:
        """Return branch, change counts, unpushed commits and the last commit."""
        ...

    def changes(self, clone: SessionClone, against: DiffBase) -> ChangeSet:
        """Return the changed files with their line counts."""
        ...

    def patch(self, clone: SessionClone, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """Return the diff of one file, or of all; `limit` in bytes."""
        ...

    def guard(self, clone: SessionClone) -> RemovalCheck:
        """Return the clone's unsaved work."""
        ...

    def forget(self, clone: SessionClone) -> None:
        """Delete the shadow repository of a trashed clone. It is created again after a restore."""
        ...
