"""Bringing work out of sessions, and upstream work in: push, fetch, keep, bundle, export, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from relay_tui.errors import ConflictError, InvalidInputError, NotFoundError
from relay_tui.events import Bus, ProjectFetched, RecordsChanged, SessionUpdated, WorkPushed
from relay_tui.model import CloneState, Project, Session, now
from relay_tui.paths import DataDir
from relay_tui.services.bundle_names import bundle_names
from relay_tui.services.catching_up import catch_up
from relay_tui.services.claims import Claims
from relay_tui.services.clones import clone_of
from relay_tui.services.ports import Clone, Exit, Files, Git, Runtime, Source, Store
from relay_tui.services.watch import Watch
from relay_tui.work import Exported, Hazard, Kept, Pushed, PushPlan, Rescue, Rescued, Updated


class Outward:
    """The use cases that carry commits across a session's border. Thread-safe."""

    def __init__(
        self,
        *,
        store: Store,
        git: Git,
        way_out: Exit,
        runtime: Runtime,
        files: Files,
        locks: Claims,
        bus: Bus,
        data_dir: DataDir,
    ) -> None:
        self._store = store
        self._git = git
        self._way_out = way_out
        self._runtime = runtime
        self._files = files
        self._locks = locks
        self._bus = bus
        self._data_dir = data_dir

    # --- the upstream ---

    def fetch_project(self, project_id: str, watch: Watch) -> tuple[str, ...]:
        """Bring the project's base up to date with its upstream; answer what changed, a line for each branch."""
        with self._locks.hold(project_id, "fetching a project"):
            project = self._project(project_id)
            changed = tuple(self._fetch(project, watch))
            changed += self._follow_default(project)
        self._bus.publish(ProjectFetched(project_id, changed))
        return changed

    def _fetch(self, project: Project, watch: Watch) -> Sequence[str]:
        return self._way_out.fetch(self._data_dir.base(project.id), Source(project.source), watch)

    def _follow_default(self, project: Project) -> tuple[str, ...]:
        """Take another default branch when the upstream no longer has the one on record."""
        heads = [branch.name for branch in self._git.branches(self._data_dir.base(project.id))]
        if project.default_branch in heads or not heads:
            return ()
        chosen = next((name for name in ("main", "master") if name in heads), heads[0])
        with self._store.transaction() as change:
            present = change.records.projects.get(project.id)
            if present is not None:
                change.put(replace(present, default_branch=chosen, updated_at=now()))
        self._bus.publish(RecordsChanged())
        return (f"{project.default_branch} is gone upstream: the project's default branch is {chosen} now",)

    def update(self, session_id: str, watch: Watch, *, rebase: bool = False) -> Updated:
        """Fetch, then merge what the session lacks into what it is on, or rebase that, inside its container.

        That is what others pushed to the branch it is on; if there is nothing, what is new on its base branch.
        What does not go together is taken back, and said. Raises ConflictError, or GitError when the image has no git.
        """
        with self._locks.hold(session_id, "updating a session"):
            session = self._session(session_id)
            self._require_running(session)
            self._fetch(self._project(session.project_id), watch)
            with self._way_out.parcel(self._clone(session), watch) as parcel:
                updated = catch_up(self._runtime, session, parcel, watch, rebase=rebase)
        self._bus.publish(SessionUpdated(session_id, updated))
        return updated

    def _require_running(self, session: Session) -> None:
        hint = f"Start it first: {{start {session.name}}}."
        status = self._runtime.inspect(session.container_id).status if session.container_id else "not there"
        if status != "running":
            raise ConflictError(f"{session.name} is not running", f"Its container is {status}.", hint)

    # --- a session's commits ---

    def plan_push(self, session_id: str, watch: Watch, *, branch: str = "") -> PushPlan:
        """What a push of `branch` would send ('': of the one that the session is on)."""
        if branch:
            self._git.check_branch_name(branch)
        with self._locks.hold(session_id, "looking at what a push would send"):
            session = self._session(session_id)
            return self._way_out.plan_push(self._clone(session), self._source(session), watch, branch=branch)

    def push(self, session_id: str, plan: PushPlan, watch: Watch) -> Pushed:
        """Push what was planned, and nothing newer."""
        with self._locks.hold(session_id, "pushing"):
            session = self._session(session_id)
            pushed = self._way_out.push(self._clone(session), self._source(session), plan, watch)
        self._bus.publish(WorkPushed(session_id, pushed))
        return pushed

    def rescue(self, session_id: str, rescue: Rescue, watch: Watch, *, bundle: Path | None = None) -> Rescued:
        """Bring the session's work to safety: a push saves its branch, the others all branches, stashes and files."""
        if rescue is Rescue.PUSH:
            pushed = self.push(session_id, self.plan_push(session_id, watch), watch)
            return Rescued(words=f"Pushed {pushed.branch} ({pushed.commit[:10]}).", saved=frozenset())
        if rescue is Rescue.BUNDLE and bundle is None:
            raise InvalidInputError("bundle", "A file for the bundle is needed")
        kept = self.keep(session_id, watch)
        saved = _saved(kept, session_id)
        words = f"Kept in the base clone: relay session export {session_id} --to DIR brings it out."
        if bundle is not None:
            self.bundle(session_id, bundle, watch)
            words = f"Saved in {bundle}: git clone {bundle} DIR brings it out.{_also(kept, session_id)}"
        return Rescued(words=words, saved=saved)

    def keep(self, session_id: str, watch: Watch) -> dict[str, str]:
        """Keep every head and stash of the session in the base; answer ref → commit."""
        with self._locks.hold(session_id, "keeping a session's work"):
            return self._way_out.keep(self._clone(self._session(session_id)), watch)

    def bundle(self, session_id: str, target: Path, watch: Watch) -> int:
        """Save every head and stash of the session as a git bundle; answer its bytes."""
        with self._locks.hold(session_id, "bundling a session's work"):
            return self._way_out.bundle(self._clone(self._session(session_id)), self._outside(target), watch)

    def kept(self, project_id: str) -> list[Kept]:
        """What the project's base holds of sessions and the upstream does not have."""
        return self._way_out.kept(self._data_dir.base(project_id))

    def export(self, session: Session, target: Path, watch: Watch, *, name: str = "") -> Exported:
        """An ordinary clone at `target`, or a branch in the repository that is there; answer what it has now.

        Of a removed session too: from its clone in the trash, or from what was kept of it.
        """
        if name:
            self._git.check_branch_name(name)
        target = self._outside(target)
        with self._locks.hold(session.id, "exporting a session"):
            project = self._project(session.project_id)
            return self._way_out.export(self._wherever(session), project.source, target, watch, name=name)

    def export_kept(self, project_id: str, kept: Kept, target: Path, watch: Watch, *, name: str = "") -> Exported:
        """The same, of a session that is on record no more: from what was kept of it."""
        if name:
            self._git.check_branch_name(name)
        target = self._outside(target)
        project = self._project(project_id)
        clone = Clone(
            session_id=kept.session_id,
            work_dir=self._data_dir.session(project_id, kept.session_id),
            eye=self._data_dir.eye(project_id, kept.session_id),
            base=self._data_dir.base(project_id),
            branch=_branch(kept) or project.default_branch,
            base_branch=project.default_branch,
        )
        with self._locks.hold(kept.session_id, "exporting what was kept"):
            return self._way_out.export(clone, project.source, target, watch, name=name)

    def _wherever(self, session: Session) -> Clone:
        """The session's clone in place, or in the trash."""
        if session.deleted_at is not None:
            for entry in reversed(self._files.trash_entries()):
                if entry.name == session.id and not entry.condemned:
                    return clone_of(session, self._data_dir, entry.path)
        return self._clone(session)

    def _outside(self, target: Path) -> Path:
        """`target` in full. A session could have put something there, if it lay within the data dir."""
        full = target.expanduser().absolute()
        if full.resolve().is_relative_to(self._data_dir.root.resolve()):
            raise InvalidInputError("to", "That is relay's own directory", str(full), "Choose a place outside of it.")
        return full

    # --- the records ---

    def _clone(self, session: Session) -> Clone:
        return clone_of(session, self._data_dir)

    def _source(self, session: Session) -> Source:
        return Source(self._project(session.project_id).source)

    def _project(self, project_id: str) -> Project:
        project = self._store.read().projects.get(project_id)
        if project is None or project.deleted_at is not None:
            raise NotFoundError("That project is gone", project_id)
        if project.clone_state is not CloneState.READY:
            raise ConflictError(f"{project.name} is not cloned yet", hint="Wait for its clone, or retry it.")
        return project

    def _session(self, session_id: str) -> Session:
        session = self._store.read().sessions.get(session_id)
        if session is None or session.deleted_at is not None:
            raise NotFoundError("That session is gone", session_id)
        return session


def _also(refs: Mapping[str, str], session_id: str) -> str:
    """Where in a clone of a bundle that is which was on no branch."""
    names = bundle_names(ref.removeprefix(f"refs/relay/{session_id}/") for ref in refs)
    places = [
        ref.replace("refs/heads/", "origin/").replace("refs/tags/", "tag ")
        for name, ref in names.items()
        if not name.startswith(("heads/", "tags/"))
    ]
    return f" Besides its branches: {', '.join(places)} (git stash apply NAME for a stash)." if places else ""


def _branch(kept: Kept) -> str:
    """The branch that was kept, or '' if it was none."""
    heads = f"refs/relay/{kept.session_id}/heads/"
    return kept.ref.removeprefix(heads) if kept.ref.startswith(heads) else ""


def _saved(refs: Mapping[str, str], session_id: str) -> frozenset[Hazard]:
    """What a copy of these refs saves; files only if all of them could be read."""
    files = {Hazard.DIRTY, Hazard.UNTRACKED} if f"refs/relay/{session_id}/uncommitted" in refs else set()
    return frozenset({Hazard.UNPUSHED, Hazard.STASHED, *files})
