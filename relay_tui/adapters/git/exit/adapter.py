"""The Exit port, fulfilled by the git on the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from relay_tui.adapters.git.exit import commits, note, own, upstream
from relay_tui.adapters.git.exit import push as pushing
from relay_tui.adapters.git.exit.bundle import bundle
from relay_tui.adapters.git.exit.export import export
from relay_tui.adapters.git.exit.intake import Brought, bring_in
from relay_tui.adapters.git.exit.parcel import parcel
from relay_tui.errors import ConflictError, NotFoundError
from relay_tui.services.ports import Clone, Parcel, Source
from relay_tui.services.watch import Watch
from relay_tui.work import Exported, Kept, Pushed, PushPlan

_KEPT = "refs/relay/"


class GitExit:
    """Brings work out of sessions, and upstream work in. `tmp` is on the same disk as the bases."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp

    def keep(self, clone: Clone, watch: Watch) -> dict[str, str]:
        """Copy every head and stash of the session into the base as refs/relay/<session id>/*; answer ref → commit."""
        return dict(bring_in(clone, self._tmp, watch, files=True).refs)

    def kept(self, base: Path) -> list[Kept]:
        """What a base holds of sessions, removed or not, and the upstream does not have."""
        found = []
        for ref, commit in own.refs(base, _KEPT).items():
            count = commits.count(base, commit, *commits.UPSTREAM)
            if count:
                (newest,) = commits.read(base, commit, limit=1)
                session_id = ref.removeprefix(_KEPT).partition("/")[0]
                noted = note.read(base, session_id)
                name = noted.name if noted else ""
                found.append(Kept(session_id=session_id, ref=ref, commit=newest, count=count, name=name))
        return found

    def bundle(self, clone: Clone, target: Path, watch: Watch) -> int:
        """Save every head and stash of the session as a git bundle at `target`; answer its bytes."""
        return bundle(clone, bring_in(clone, self._tmp, watch, files=True), target, self._tmp, watch)

    def fetch(self, base: Path, source: Source, watch: Watch) -> Sequence[str]:
        """Bring the base up to date with its upstream; answer what changed, a line for each branch."""
        return upstream.fetch(base, source, watch)

    def plan_push(self, clone: Clone, source: Source, watch: Watch, *, branch: str = "") -> PushPlan:
        """Bring the session's work into the base, and the upstream's; tell what a push of `branch` would send."""
        brought = bring_in(clone, self._tmp, watch)
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
        upstream.fetch(clone.base, source, watch)
        return pushing.plan(clone.base, source, name, commit)

    def push(self, clone: Clone, source: Source, plan: PushPlan, watch: Watch) -> Pushed:
        """Push exactly what was planned, with the host's credentials."""
        return pushing.push(clone.base, source, plan, watch)

    def export(self, clone: Clone, source: str, target: Path, watch: Watch, *, name: str = "") -> Exported:
        """Make an ordinary clone at `target`, or a branch in the repository that is there; answer what it has now."""
        clone, present = self._present(clone, watch)
        return export(clone, present, source, target, self._tmp, watch, name=name)

    def _present(self, clone: Clone, watch: Watch) -> tuple[Clone, Brought]:
        """What the session holds now, or what was kept of it if its clone is gone."""
        if clone.work_dir.is_dir():
            return clone, bring_in(clone, self._tmp, watch, files=True)
        kept = own.refs(clone.base, f"{_KEPT}{clone.session_id}/")
        if not kept:
            raise NotFoundError("Nothing of that session is left", hint="Its clone is gone, and nothing was kept.")
        noted = note.read(clone.base, clone.session_id)
        if noted:
            clone = replace(clone, branch=noted.begun_on)
        detached = f"{_KEPT}{clone.session_id}/detached" in kept
        on = noted.on if noted else "" if detached else clone.branch
        return clone, Brought(on, MappingProxyType(kept))

    @contextmanager
    def parcel(self, clone: Clone, watch: Watch) -> Iterator[Parcel]:
        """Pack what the session lacks of its branch upstream, else of its base branch; it is gone after the block."""
        with parcel(clone, self._tmp, watch) as packed:
            yield packed
