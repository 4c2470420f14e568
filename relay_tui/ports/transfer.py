"""Port for moving commits out of a session's clone and into it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from relay_tui.ports.inspector import SessionClone

if TYPE_CHECKING:
    from relay_tui.domain.transfers import ExportResult, PushPlan, PushResult, SavedRef
    from relay_tui.ports.git import CloneSource
    from relay_tui.ports.task import TaskContext


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePack:
    """Upstream commits that a session does not have, as a pack for `git index-pack --stdin` in its container."""

    branch: str
    commit: str
    """The newest commit of the branch."""
    count: int
    """Commits missing in the session's HEAD; `pack` has those that its clone does not have."""
    pack: Path


class GitTransfer(Protocol):
    """Moves commits out of and into sessions. Raises GitError with git's message.

    Objects of a session's clone are copied and hashed again before anything else reads them. A cancelled or failed
    operation leaves no copy behind.
    """

    def keep(self, clone: SessionClone, task: TaskContext) -> dict[str, str]:
        """Copy every head and stash of the session into the base as refs/relay/<session id>/*; return ref → commit."""
        ...

    def saved_refs(self, base: Path) -> list[SavedRef]:
        """Return the refs of sessions in a base clone, removed or not, that the upstream does not have."""
        ...

    def bundle(self, clone: SessionClone, target: Path, task: TaskContext) -> int:
        """Save every head and stash of the session as a git bundle at `target`; return its size in bytes.

        Raises ConflictError if the file exists.
        """
        ...

    def fetch(self, base: Path, source: CloneSource, task: TaskContext) -> Sequence[str]:
        """Fetch the upstream into the base clone; return what changed, a line for each branch."""
        ...

    def plan_push(self, clone: SessionClone, source: CloneSource, task: TaskContext, *, branch: str = "") -> PushPlan:
        """Copy the session's and the upstream's commits into the base; return what a push of `branch` would send.

        '' is the session's current branch. Raises ConflictError if it is on none, NotFoundError if there is no branch
        of that name.
        """
        ...

    def push(self, clone: SessionClone, source: CloneSource, plan: PushPlan, task: TaskContext) -> PushResult:
        """Push exactly the commits of the plan, with the host's credentials."""
        ...

    def export(
        self, clone: SessionClone, source: str, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """Create an ordinary clone at `target`, or a branch in the repository there; return branch and commit.

        Exports the session's clone, or its saved refs if the clone is gone. `name` renames the branch unless it is ''.
        Raises ConflictError, with an unused name, if a branch of that name has other commits.
        """
        ...

    def parcel(self, clone: SessionClone, task: TaskContext) -> AbstractContextManager[UpdatePack]:
        """Pack the upstream commits that the session does not have; the pack is deleted after the block.

        Packs the session's current branch if the upstream has new commits on it, else its base branch.
        """
        ...
