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
    """What a session lacks of a branch of the upstream, as a pack that git in its container can take in from stdin."""

    branch: str
    commit: str
    """The newest commit of the branch."""
    count: int
    """Commits that the session's HEAD lacks; `pack` has what its clone lacks of them."""
    pack: Path


class GitTransfer(Protocol):
    """Brings work out of a session, and upstream work in. Raises GitError with git's own words.

    What a session's clone holds is copied and hashed again before anything else sees it. Cancelled or failed, none
    of these leaves a copy behind.
    """

    def keep(self, clone: SessionClone, task: TaskContext) -> dict[str, str]:
        """Copy every head and stash of the session into the base as refs/relay/<session id>/*; answer ref → commit."""
        ...

    def saved_refs(self, base: Path) -> list[SavedRef]:
        """What a base holds of sessions, removed or not, and the upstream does not have."""
        ...

    def bundle(self, clone: SessionClone, target: Path, task: TaskContext) -> int:
        """Save every head and stash of the session as a git bundle at `target`; answer its bytes.

        Raises ConflictError when something is there already.
        """
        ...

    def fetch(self, base: Path, source: CloneSource, task: TaskContext) -> Sequence[str]:
        """Bring the base up to date with its upstream; answer what changed, a line for each branch."""
        ...

    def plan_push(self, clone: SessionClone, source: CloneSource, task: TaskContext, *, branch: str = "") -> PushPlan:
        """Bring the session's work into the base, and the upstream's; tell what a push of `branch` would send.

        '' is the branch that the session is on. Raises ConflictError when it is on none, NotFoundError when there is
        none of that name.
        """
        ...

    def push(self, clone: SessionClone, source: CloneSource, plan: PushPlan, task: TaskContext) -> PushResult:
        """Push exactly what was planned, with the host's credentials."""
        ...

    def export(
        self, clone: SessionClone, source: str, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """Make an ordinary clone at `target`, or a branch in the repository that is there; answer what it has now.

        From the session's clone, or if that is gone, from what was kept of it. `name` is what to call the branch, ''
        what it is called. Raises ConflictError, with a free name, when a branch of that name has other commits.
        """
        ...

    def parcel(self, clone: SessionClone, task: TaskContext) -> AbstractContextManager[UpdatePack]:
        """Pack what the session lacks of the upstream, as the base has it; the pack is gone after the block.

        Of the branch that it is on, if the upstream has one of that name with commits that it lacks; else of its base
        branch.
        """
        ...
