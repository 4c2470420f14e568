"""`GitTransfer` port, implemented with the host's git."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from relay_tui.adapters.git.transfer import commits, remote, session_note, trusted_git
from relay_tui.adapters.git.transfer import push as pushing
from relay_tui.adapters.git.transfer.bundle import write_bundle
from relay_tui.adapters.git.transfer.export import export
from relay_tui.adapters.git.transfer.importer import ImportedRefs, import_session
from relay_tui.adapters.git.transfer.update_pack import build_update_pack
from relay_tui.domain.errors import ConflictError, NotFoundError
from relay_tui.domain.transfers import ExportResult, PushPlan, PushResult, SavedRef
from relay_tui.ports import CloneSource, SessionClone, UpdatePack
from relay_tui.ports.task import TaskContext

_SAVED = "refs/relay/"


class GitTransferAdapter:
    """Transfers between sessions, base clones and upstreams. `tmp` is on the same disk as the base clones."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp

    def keep(self, clone: SessionClone, task: TaskContext) -> dict[str, str]:
        """Copy the session's heads and stashes to refs/relay/<session id>/* of the base clone; return ref → commit."""
        return dict(import_session(clone, self._tmp, task, files=True).refs)

    def saved_refs(self, base: Path) -> list[SavedRef]:
        """Return the base clone's refs of sessions, removed or not, with commits that the upstream does not have."""
        found = []
        for ref, commit in trusted_git.refs(base, _SAVED).items():
            count = commits.count(base, commit, *commits.NOT_UPSTREAM)
            if count:
                (newest,) = commits.read(base, commit, limit=1)
                session_id = ref.removeprefix(_SAVED).partition("/")[0]
                note = session_note.read(base, session_id)
                name = note.name if note else ""
                found.append(SavedRef(session_id=session_id, ref=ref, commit=newest, count=count, name=name))
        return found

    def bundle(self, clone: SessionClone, target: Path, task: TaskContext) -> int:
        """Save each head and stash of the session as a git bundle at `target`; return its size in bytes."""
        return write_bundle(clone, import_session(clone, self._tmp, task, files=True), target, self._tmp, task)

    def fetch(self, base: Path, source: CloneSource, task: TaskContext) -> Sequence[str]:
        """Fetch the upstream into the base clone; return one line for each changed branch."""
        return remote.fetch(base, source, task)

    def plan_push(self, clone: SessionClone, source: CloneSource, task: TaskContext, *, branch: str = "") -> PushPlan:
        """Import the session into the base clone, fetch the upstream, and return what a push of `branch` would send.

        `branch` is the session's current branch if not given. Raises ConflictError and NotFoundError.
        """
        imported = import_session(clone, self._tmp, task)
        name = branch or imported.branch
        if not name:
            raise ConflictError(
                "The session is on no branch",
                "Its HEAD is detached.",
                "Create a branch in the session: git switch -c NAME{|. Or push another branch: --branch NAME}.",
            )
        commit = imported.refs.get(f"{_SAVED}{clone.session_id}/heads/{name}")
        if commit is None:
            raise NotFoundError(f"The session has no commit on {name}", hint="Commit there first.")
        remote.fetch(clone.base, source, task)
        return pushing.plan_push(clone.base, source, name, commit)

    def push(self, clone: SessionClone, source: CloneSource, plan: PushPlan, task: TaskContext) -> PushResult:
        """Push exactly the commit of the plan, with the host's credentials."""
        return pushing.push(clone.base, source, plan, task)

    def export(
        self, clone: SessionClone, source: str, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """Create an ordinary clone at `target`, or a branch in the repository at `target`; return what it has now."""
        clone, imported = self._import_or_saved(clone, task)
        return export(clone, imported, source, target, self._tmp, task, name=name)

    def _import_or_saved(self, clone: SessionClone, task: TaskContext) -> tuple[SessionClone, ImportedRefs]:
        """Import the session, or return its saved refs if its clone no longer exists."""
        if clone.work_dir.is_dir():
            return clone, import_session(clone, self._tmp, task, files=True)
        saved = trusted_git.refs(clone.base, f"{_SAVED}{clone.session_id}/")
        if not saved:
            detail = "Its clone was deleted, and none of its work was saved in the base clone."
            raise NotFoundError("The session has no clone and no saved work", detail)
        note = session_note.read(clone.base, clone.session_id)
        if note:
            clone = replace(clone, branch=note.begun_on)
        detached = f"{_SAVED}{clone.session_id}/detached" in saved
        branch = note.on if note else "" if detached else clone.branch
        return clone, ImportedRefs(branch, MappingProxyType(saved))

    @contextmanager
    def parcel(self, clone: SessionClone, task: TaskContext) -> Iterator[UpdatePack]:
        """Pack the commits that the session lacks of its upstream branch, else of its base branch.

        The pack is deleted after the block.
        """
        with build_update_pack(clone, self._tmp, task) as pack:
            yield pack
