"""Looking at a session's clone, which is hostile, and bringing work out of it. Both run on the host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.services.ports.git import Source
    from relay_tui.services.watch import Watch
    from relay_tui.work import Against, Changes, Exported, Facts, Guarded, Kept, Patch, Pushed, PushPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """Where one session's git lies. `eye` is the host-only git dir through which the host looks at `work_dir`."""

    session_id: str
    work_dir: Path
    eye: Path
    base: Path
    branch: str
    """The branch it was begun on."""
    base_branch: str
    name: str = ""
    """The session's, where it is known."""


class Look(Protocol):
    """Reads a session's clone without trusting it: nothing in it is executed, followed, or believed.

    facts(), changes() and patch() raise GitError, kind 'unknown', with the reason why nothing can be said; guard() has
    that as a risk. All raise FileSystemError when the data dir cannot be written.
    """

    def confinement(self) -> str:
        """What stands around the host's git while it looks: 'Landlock …', 'bubblewrap', or that there is nothing."""
        ...

    def prepare(self, clone: Clone) -> None:
        """Make the eye of a fresh clone, before its container exists. Made anew when it is missing later."""
        ...

    def facts(self, clone: Clone) -> Facts:
        """Branch, counts, what is unpushed, the last commit."""
        ...

    def changes(self, clone: Clone, against: Against) -> Changes:
        """The changed files with their line counts."""
        ...

    def patch(self, clone: Clone, against: Against, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """The diff of one file, or of all; `limit` in bytes."""
        ...

    def guard(self, clone: Clone) -> Guarded:
        """What would be lost with the clone."""
        ...

    def forget(self, clone: Clone) -> None:
        """Delete the eye of a clone that went to the trash; it is made anew if that comes back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What a session lacks of a branch of the upstream, as a pack that git in its container can take in from stdin."""

    branch: str
    commit: str
    """The newest commit of the branch."""
    count: int
    """Commits that the session's HEAD lacks; `pack` has what its clone lacks of them."""
    pack: Path


class Exit(Protocol):
    """Brings work out of a session, and upstream work in. Raises GitError with git's own words.

    What a session's clone holds is copied and hashed again before anything else sees it. Cancelled or failed, none
    of these leaves a copy behind.
    """

    def keep(self, clone: Clone, watch: Watch) -> dict[str, str]:
        """Copy every head and stash of the session into the base as refs/relay/<session id>/*; answer ref → commit."""
        ...

    def kept(self, base: Path) -> list[Kept]:
        """What a base holds of sessions, removed or not, and the upstream does not have."""
        ...

    def bundle(self, clone: Clone, target: Path, watch: Watch) -> int:
        """Save every head and stash of the session as a git bundle at `target`; answer its bytes.

        Raises ConflictError when something is there already.
        """
        ...

    def fetch(self, base: Path, source: Source, watch: Watch) -> Sequence[str]:
        """Bring the base up to date with its upstream; answer what changed, a line for each branch."""
        ...

    def plan_push(self, clone: Clone, source: Source, watch: Watch, *, branch: str = "") -> PushPlan:
        """Bring the session's work into the base, and the upstream's; tell what a push of `branch` would send.

        '' is the branch that the session is on. Raises ConflictError when it is on none, NotFoundError when there is
        none of that name.
        """
        ...

    def push(self, clone: Clone, source: Source, plan: PushPlan, watch: Watch) -> Pushed:
        """Push exactly what was planned, with the host's credentials."""
        ...

    def export(self, clone: Clone, source: str, target: Path, watch: Watch, *, name: str = "") -> Exported:
        """Make an ordinary clone at `target`, or a branch in the repository that is there; answer what it has now.

        From the session's clone, or if that is gone, from what was kept of it. `name` is what to call the branch, ''
        what it is called. Raises ConflictError, with a free name, when a branch of that name has other commits.
        """
        ...

    def parcel(self, clone: Clone, watch: Watch) -> AbstractContextManager[Parcel]:
        """Pack what the session lacks of the upstream, as the base has it; the pack is gone after the block.

        Of the branch that it is on, if the upstream has one of that name with commits that it lacks; else of its base
        branch.
        """
        ...
