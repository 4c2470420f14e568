"""The Exit port, fulfilled by the git on the host."""

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

_KEPT = "refs/relay/"


class GitTransferAdapter:
    """Brings work out of sessions, and upstream work in. `tmp` is on the same disk as the bases."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp

    def keep(self, clone: SessionClone, task: TaskContext) -> dict[str, str]:
        """Copy every head and stash of the session into the base as refs/relay/<session id>/*; answer ref → commit."""
        return dict(import_session(clone, self._tmp, task, files=True).refs)

    def saved_refs(self, base: Path) -> list[SavedRef]:
        """What a base holds of sessions, removed or not, and the upstream does not have."""
        found = []
        for ref, commit in trusted_git.refs(base, _KEPT).items():
            count = commits.count(base, commit, *commits.UPSTREAM)
            if count:
                (newest,) = commits.read(base, commit, limit=1)
                session_id = ref.removeprefix(_KEPT).partition("/")[0]
                noted = session_note.read(base, session_id)
                name = noted.name if noted else ""
                found.append(SavedRef(session_id=session_id, ref=ref, commit=newest, count=count, name=name))
        return found

    def bundle(self, clone: SessionClone, target: Path, task: TaskContext) -> int:
        """Save every head and stash of the session as a git bundle at `target`; answer its bytes."""
        return write_bundle(clone, import_session(clone, self._tmp, task, files=True), target, self._tmp, task)

    def fetch(self, base: Path, source: CloneSource, task: TaskContext) -> Sequence[str]:
        """Bring the base up to date with its upstream; answer what changed, a line for each branch."""
        return remote.fetch(base, source, task)

    def plan_push(self, clone: SessionClone, source: CloneSource, task: TaskContext, *, branch: str = "") -> PushPlan:
        """Bring the session's work into the base, and the upstream's; tell what a push of `branch` would send."""
        brought = import_session(clone, self._tmp, task)
        name = branch or brought.branch
        if not name:
            raise ConflictError(
                "The session is on no branch",
                "Its HEAD is detached.",
                "git switch -c NAME in the session begins one there{|; --branch NAME pushes another}.",
            )
        commit = brought.refs.get(f"{_KEPT}{clone.session_id}/heads/{name}")
        if commit is None:
            raise NotFoundError(f"The session has no commit on {name}", hint="Commit there first.")
        remote.fetch(clone.base, source, task)
        return pushing.plan_push(clone.base, source, name, commit)

    def push(self, clone: SessionClone, source: CloneSource, plan: PushPlan, task: TaskContext) -> PushResult:
        """Push exactly what was planned, with the host's credentials."""
        return pushing.push(clone.base, source, plan, task)

    def export(
        self, clone: SessionClone, source: str, target: Path, task: TaskContext, *, name: str = ""
    ) -> ExportResult:
        """Make an ordinary clone at `target`, or a branch in the repository that is there; answer what it has now."""
        clone, present = self._present(clone, task)
        return export(clone, present, source, target, self._tmp, task, name=name)

    def _present(self, clone: SessionClone, task: TaskContext) -> tuple[SessionClone, ImportedRefs]:
        """What the session holds now, or what was kept of it if its clone is gone."""
        if clone.work_dir.is_dir():
            return clone, import_session(clone, self._tmp, task, files=True)
        kept = trusted_git.refs(clone.base, f"{_KEPT}{clone.session_id}/")
        if not kept:
            raise NotFoundError("Nothing of that session is left", hint="Its clone is gone, and nothing was kept.")
        noted = session_note.read(clone.base, clone.session_id)
        if noted:
            clone = replace(clone, branch=noted.begun_on)
        detached = f"{_KEPT}{clone.session_id}/detached" in kept
        on = noted.on if noted else "" if detached else clone.branch
        return clone, ImportedRefs(on, MappingProxyType(kept))

    @contextmanager
    def parcel(self, clone: SessionClone, task: TaskContext) -> Iterator[UpdatePack]:
        """Pack what the session lacks of its branch upstream, else of its base branch; it is gone after the block."""
        with build_update_pack(clone, self._tmp, task) as packed:
            yield packed
