"""Projects: add, clone, retry, remove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relay_tui.config import Config
from relay_tui.domain.errors import (
    CancelledError,
    ConflictError,
    Fault,
    InvalidInputError,
    NameTakenError,
    NotFoundError,
    RelayError,
)
from relay_tui.domain.events import EventBus, RecordsChanged
from relay_tui.domain.models import CloneState, DesiredState, Project, Records, Session, now
from relay_tui.paths import DataDir
from relay_tui.ports import CloneSource, Files, Git, Store
from relay_tui.ports.task import TaskContext
from relay_tui.services import naming
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.sessions.drafts import NewSession
from relay_tui.services.sessions.service import SessionService, undeleted


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """What a person typed to add a project; '' means: choose for me."""

    source: str
    name: str = ""
    branch: str = ""
    image: str = ""
    profile: str = ""
    runtime: str = ""
    agreed: str = ""
    """What the person agreed to when asked, in the words of NeedsConsentError.consent, with spaces between."""


class ProjectService:
    """The use cases about projects. Thread-safe."""

    def __init__(
        self,
        *,
        store: Store,
        git: Git,
        files: Files,
        locks: OperationLocks,
        bus: EventBus,
        config: Config,
        data_dir: DataDir,
        sessions: SessionService,
    ) -> None:
        self._store = store
        self._git = git
        self._files = files
        self._locks = locks
        self._bus = bus
        self._config = config
        self._data_dir = data_dir
        self._sessions = sessions
        self._secrets: dict[str, CloneSource] = {}  # by project id; in memory alone, and only until the clone is there

    def suggest_name(self, source: str) -> str:
        """A free name for a project cloned from `source`."""
        return naming.suggest_project(source, self._store.read())

    def register(self, wanted: NewProject) -> Project:
        """Put the project on record; nothing is cloned yet. Raises InvalidInputError or NameTakenError."""
        source = self._git.parse_source(wanted.source)
        if wanted.branch:
            self._git.check_branch_name(wanted.branch)
        self._config.find_profile(wanted.profile)
        first = NewSession(project="", profile=wanted.profile, runtime=wanted.runtime, agreed=wanted.agreed)
        self._sessions.confirm_runtime(first)
        if wanted.name:
            naming.check_name(wanted.name)
        with self._locks.while_written(), self._store.transaction() as change:
            name = wanted.name or naming.suggest_project(source.url, change.records)
            _refuse_taken(name, change.records)
            stamp = now()
            project = Project(
                id=change.records.unused_id(),
                name=name,
                source=source.url,
                default_branch=wanted.branch,
                default_image=wanted.image,
                default_profile=wanted.profile,
                default_runtime=wanted.runtime,
                created_at=stamp,
                updated_at=stamp,
            )
            self._locks.claim(project.id, "cloning a project")
            change.put(project)
        self._secrets[project.id] = source
        self._bus.publish(RecordsChanged())
        return project

    def clone(self, project_id: str, task: TaskContext) -> Session:
        """Make the base clone and put the first session on record (to be built by Sessions.build).

        Cancelled, it leaves nothing behind, not even the project's row. Failed, the row keeps git's words.
        """
        with self._locks.hold(project_id, "cloning a project"):
            project = self._change(project_id, unready=True, clone_state=CloneState.CLONING, clone_error=None)
            source = self._secrets.get(project_id, CloneSource(project.source))
            base = self._data_dir.base(project_id)
            try:
                self._files.to_trash(base, f"{project_id}.base")  # of an earlier try, maybe from another source
                self._files.make_directory(base.parent)
                head = self._git.clone_base(source, base, task)
                first = self._make_ready(project_id, head, base)
            except CancelledError:
                if not task.quitting:  # what a leaving relay began, the next one goes on with by itself
                    self._forget(project_id)
                raise
            except InvalidInputError as error:  # the branch that was asked for; the next try takes upstream's default
                error.about = project.name
                self._change(project_id, clone_state=CloneState.ERROR, clone_error=error.fault, default_branch="")
                raise
            except RelayError as error:
                error.about = project.name
                self._change(project_id, clone_state=CloneState.ERROR, clone_error=error.fault)
                raise
        self._secrets.pop(project_id, None)
        return first

    def retry(self, project_id: str, source: str = "") -> Project:
        """Make a project ready for another clone(), from another source if one is given."""
        parsed = self._git.parse_source(source) if source else None
        changed: dict[str, Any] = {"source": parsed.url} if parsed else {}
        with self._locks.while_written():
            self._locks.claim(project_id, "cloning a project")
            project = self._change(
                project_id, unready=True, clone_state=CloneState.PENDING, clone_error=None, **changed
            )
        if parsed is not None:
            self._secrets[project_id] = parsed
        return project

    def sessions_of(self, project_id: str) -> list[Session]:
        """What goes with the project when it is removed."""
        return self._store.read().live_sessions(project_id)

    def remove(self, project_id: str, task: TaskContext) -> None:
        """Remove the project with all its sessions, their containers and their directories (to the trash)."""
        with self._locks.hold(project_id, "removing a project"):
            project = self._find(project_id)
            # The stamp says which sessions went with the project; a removal that was cut goes on with the same one.
            stamp = project.updated_at if project.desired is DesiredState.REMOVED else now()
            self._change(project_id, stamp, urgent=True, desired=DesiredState.REMOVED, clone_error=None)
            try:
                for number, session in enumerate(sessions := self.sessions_of(project_id)):
                    task.report(f"Removing {session.name}", number / len(sessions))
                    self._sessions.remove(session.id, task, last=True, stamp=stamp)
                task.report("Moving the base clone to the trash")
                self._files.to_trash(self._data_dir.project(project_id), project_id)
                self._change(project_id, stamp, urgent=True, deleted_at=stamp)
            except RelayError as error:
                self._change(project_id, stamp, urgent=True, clone_error=error.fault)
                raise
        self._secrets.pop(project_id, None)
        self._bus.publish(RecordsChanged())

    def restore(self, project_id: str) -> list[Session]:
        """Undo a removal: the base clone comes back, and the sessions that went with it are put back on record.

        They are finished by Sessions.build().
        """
        with self._locks.hold(project_id, "restoring a project"):
            project = self._store.read().projects.get(project_id)
            if project is None:
                raise NotFoundError("That project was purged, or never was", project_id)
            if project.deleted_at is None:
                raise ConflictError(f"{project.name} is not removed", hint="There is nothing to restore.")
            here = self._files.has_clone(self._data_dir.base(project_id))
            if not here and all(entry.name != project_id for entry in self._files.trash_entries()):
                hint = "Add it again: relay project add SOURCE."
                raise NotFoundError(f"The base clone of {project.name} is no longer in the trash", hint=hint)
            with self._locks.while_written(), self._store.transaction() as change:
                taken = [p.name for p in change.records.live_projects()]
                back = [
                    undeleted(s, s.name)
                    for s in change.records.sessions.values()
                    if s.project_id == project_id and s.deleted_at == project.deleted_at
                ]
                name = naming.unique_name(project.name, taken)
                change.put(replace(project, name=name, desired=DesiredState.RUNNING, deleted_at=None, updated_at=now()))
                for session in back:
                    self._sessions.put_claimed(session, change)
            self._bring_back(project_id)
        self._bus.publish(RecordsChanged())
        return back

    def bring_back(self, project_id: str) -> None:
        """Go on with a restore that was cut: move the base clone out of the trash."""
        with self._locks.hold(project_id, "restoring a project"):
            self._bring_back(project_id)

    def _bring_back(self, project_id: str) -> None:
        if not self._files.has_clone(self._data_dir.base(project_id)):
            self._files.from_trash(project_id, self._data_dir.project(project_id))

    def first_session(self, project_id: str) -> Session:
        """Put a session on record for a ready project that has none, or answer the one it has."""
        project = self._find(project_id)
        return self._make_ready(project_id, project.default_branch, self._data_dir.base(project_id))

    def say_base_gone(self, project_id: str, fault: Fault) -> None:
        """Write on the project's row that its base clone is gone."""
        self._change(project_id, clone_state=CloneState.ERROR, clone_error=fault)

    def _make_ready(self, project_id: str, head: str, base: Path) -> Session:
        """Ready and first session become true in one transaction: a ready project always has a session."""
        heads = {branch.name for branch in self._git.branches(base)}
        choice = self._sessions.settle_first(project_id)
        with self._locks.while_written(), self._store.transaction() as change:
            project = change.records.projects[project_id]
            branch = project.default_branch or head
            if branch not in heads:
                raise InvalidInputError(
                    "branch",
                    f"The repository has no branch '{branch}'",
                    hint=f"{{retry_project}} takes the repository's own default branch, {head}.",
                )
            project = replace(
                project, default_branch=branch, clone_state=CloneState.READY, clone_error=None, updated_at=now()
            )
            change.put(project)
            live = [s for s in change.records.live_sessions(project_id) if s.desired is not DesiredState.REMOVED]
            if live:
                return live[0]
            first = self._sessions.build_draft(NewSession(project=project_id), change.records, heads, choice)
            self._sessions.put_claimed(first, change)
        self._bus.publish(RecordsChanged())
        return first

    def _find(self, project_id: str) -> Project:
        project = self._store.read().projects.get(project_id)
        if project is None or project.deleted_at is not None:
            raise NotFoundError("That project is gone", project_id)
        return project

    def _change(
        self, project_id: str, stamp: str = "", *, unready: bool = False, urgent: bool = False, **changes: object
    ) -> Project:
        with self._store.transaction(urgent=urgent) as change:
            project = change.records.projects.get(project_id)
            if project is None or (unready and project.deleted_at is not None):
                raise NotFoundError("That project is gone", project_id)
            if unready and project.desired is DesiredState.REMOVED:
                raise ConflictError(f"{project.name} is being removed", hint="Remove it again to go on with that.")
            if unready and project.clone_state is CloneState.READY:
                raise ConflictError(f"{project.name} is cloned already", hint="There is nothing to retry.")
            project = replace(project, updated_at=stamp or now(), **changes)  # type: ignore[arg-type]
            change.put(project)
        self._bus.publish(RecordsChanged())
        return project

    def _forget(self, project_id: str) -> None:
        """A cancelled clone leaves nothing behind, unless sessions of an earlier clone still need the project."""
        self._secrets.pop(project_id, None)
        if any(session.project_id == project_id for session in self._store.read().sessions.values()):
            cancelled = Fault("cancelled", "Cancelled", hint="{retry_project} clones again.")
            self._change(project_id, clone_state=CloneState.ERROR, clone_error=cancelled)
            return
        self._change(project_id, desired=DesiredState.REMOVED)  # cut off here, the removal is gone on with
        self._files.delete(self._data_dir.project(project_id))
        with self._store.transaction() as change:
            change.drop(project_id)
        self._bus.publish(RecordsChanged())


def _refuse_taken(name: str, records: Records) -> None:
    if name.casefold() in {project.name.casefold() for project in records.live_projects()}:
        raise NameTakenError(f"There is a project '{name}' already", hint="Choose another name.")
