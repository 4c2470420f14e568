"""Looking at a session's clone, which is hostile, and bringing work out of it. Both run on the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.domain.changes import ChangeSet, CloneStatus, DiffBase, Patch
    from relay_tui.domain.unsaved_work import RemovalCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClone:
    """Where one session's git lies. `eye` is the host-only git dir through which the host looks at `work_dir`."""

    session_id: str
    work_dir: Path
    shadow_dir: Path
    base: Path
    branch: str
    """The branch it was begun on."""
    base_branch: str
    name: str = ""
    """The session's, where it is known."""


class CloneInspector(Protocol):
    """Reads a session's clone without trusting it: nothing in it is executed, followed, or believed.

    facts(), changes() and patch() raise GitError, kind 'unknown', with the reason why nothing can be said; guard() has
    that as a risk. All raise FileSystemError when the data dir cannot be written.
    """

    def confinement(self) -> str:
        """What stands around the host's git while it looks: 'Landlock …', 'bubblewrap', or that there is nothing."""
        ...

    def prepare(self, clone: SessionClone) -> None:
        """Make the eye of a fresh clone, before its container exists. Made anew when it is missing later."""
        ...

    def facts(self, clone: SessionClone) -> CloneStatus:
        """Branch, counts, what is unpushed, the last commit."""
        ...

    def changes(self, clone: SessionClone, against: DiffBase) -> ChangeSet:
        """The changed files with their line counts."""
        ...

    def patch(self, clone: SessionClone, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """The diff of one file, or of all; `limit` in bytes."""
        ...

    def guard(self, clone: SessionClone) -> RemovalCheck:
        """What would be lost with the clone."""
        ...

    def forget(self, clone: SessionClone) -> None:
        """Delete the eye of a clone that went to the trash; it is made anew if that comes back."""
        ...
