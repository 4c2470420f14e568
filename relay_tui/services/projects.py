"""Use cases about projects: add, clone, retry, remove, restore."""

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
from relay_tui.domain.models import CloneState, DesiredState, Project, Records, Session, now
from relay_tui.paths import DataDir
from relay_tui.ports import CloneSource, Files, Git
from relay_tui.ports.task import TaskContext
from relay_tui.services import naming
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.sessions.drafts import NewSession, SessionDrafts
from relay_tui.services.sessions.repository import SessionRepository, live_project
from relay_tui.services.sessions.service import SessionService, undeleted


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """Input for adding a project; '' stands for the default."""

    source: str
    name: str = ""
    branch: str = ""
    image: str = ""
    profile: str = ""
    runtime: str = ""
    agreed: str = ""
    """The NeedsConsentError.consent values that the person agreed to, separated by spaces."""


class ProjectService:
    """Use cases about projects. Thread-safe."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        drafts: SessionDrafts,
        git: Git,
        files: Files,
        locks: OperationLocks,
        config: Config,
        data_dir: DataDir,
        sessions: SessionService,
    ) -> None:
        self._repository = repository
        self._drafts = drafts
        self._git = git
        self._files = files
        self._locks = locks
        self._config = config
        self._data_dir = data_dir
        self._sessions = sessions
        self._secrets: dict[
            str, CloneSource
        ] = {}  # by project id; only in memory, and only until the clone has succeeded

    def suggest_name(self, source: str) -> str:
        """Return an unused name for a project cloned from `source`."""
        return naming.suggest_project(source, self._repository.read())

    def register(self, wanted: NewProject) -> Project:
        """Store the project's record without cloning yet. Raises InvalidInputError or NameTakenError."""
        source = self._git.parse_source(wanted.source)
        if wanted.branch:
            self._git.check_branch_name(wanted.branch)
        self._config.find_profile(wanted.profile)
        first = NewSession(project="", profile=wanted.profile, runtime=wanted.runtime, agreed=wanted.agreed)
        self._drafts.confirm_runtime(first)
        if wanted.name:
            naming.check_name(wanted.name)
        with self._locks.while_written(), self._repository.transaction() as change:
            name = wanted.name or naming.suggest_project(source.url, change.records)
            _check_name_unused(name, change.records)
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
        return project

    def clone(self, project_id: str, task: TaskContext) -> Session:
        """Create the base clone and store the first session, which SessionService.build() is to build.

        A cancelled clone leaves nothing behind, not even the project's row. After a failure the row shows git's error.
        """
        with self._locks.hold(project_id, "cloning a project"):
            project = self._update(project_id, unready=True, clone_state=CloneState.CLONING, clone_error=None)
            source = self._secrets.get(project_id, CloneSource(project.source))
            base = self._data_dir.base(project_id)
            try:
                self._files.to_trash(base, f"{project_id}.base")  # from an earlier attempt, maybe of another source
                self._files.make_directory(base.parent)
                head = self._git.clone_base(source, base, task)
                first = self._make_ready(project_id, head, base)
            except CancelledError:
                if not task.quitting:  # the next relay continues the clone that a quitting relay interrupts
                    self._discard(project_id)
                raise
            except (
                InvalidInputError
            ) as error:  # the requested branch does not exist; the retry uses the upstream's default branch
                error.about = project.name
                self._update(project_id, clone_state=CloneState.ERROR, clone_error=error.fault, default_branch="")
                raise
            except RelayError as error:
                error.about = project.name
                self._update(project_id, clone_state=CloneState.ERROR, clone_error=error.fault)
                raise
        self._secrets.pop(project_id, None)
        return first

    def retry(self, project_id: str, source: str = "") -> Project:
        """Prepare a project for another clone(), from another source if one is given.

        Raises ConflictError if it is cloned already or being removed.
        """
        parsed = self._git.parse_source(source) if source else None
        changed: dict[str, Any] = {"source": parsed.url} if parsed else {}
        with self._locks.while_written():
            self._locks.claim(project_id, "cloning a project")
            project = self._update(
                project_id, unready=True, clone_state=CloneState.PENDING, clone_error=None, **changed
            )
        if parsed is not None:
            self._secrets[project_id] = parsed
        return project

    def sessions_of(self, project_id: str) -> list[Session]:
        """Return the sessions that are removed together with the project."""
        return self._repository.read().live_sessions(project_id)

    def remove(self, project_id: str, task: TaskContext) -> None:
        """Remove the project with all its sessions, their containers and their directories (to the trash)."""
        with self._locks.hold(project_id, "removing a project"):
            project = self._repository.find_project(project_id)
            # The stamp marks the sessions that were removed with the project. A resumed removal uses the same stamp.
            stamp = project.updated_at if project.desired is DesiredState.REMOVED else now()
            self._update(project_id, stamp, urgent=True, desired=DesiredState.REMOVED, clone_error=None)
            try:
                for number, session in enumerate(sessions := self.sessions_of(project_id)):
                    task.report(f"Removing {session.name}", number / len(sessions))
                    self._sessions.remove(session.id, task, last=True, stamp=stamp)
                task.report("Moving the base clone to the trash")
                self._files.to_trash(self._data_dir.project(project_id), project_id)
                self._update(project_id, stamp, urgent=True, deleted_at=stamp)
            except RelayError as error:
                self._update(project_id, stamp, urgent=True, clone_error=error.fault)
                raise
        self._secrets.pop(project_id, None)

    def restore(self, project_id: str) -> list[Session]:
        """Undo a removal: restore the base clone, and store the sessions that were removed with it.

        SessionService.build() completes the sessions. Raises NotFoundError if the project was purged, ConflictError if
        it is not removed.
        """
        with self._locks.hold(project_id, "restoring a project"):
            project = self._repository.read().projects.get(project_id)
            if project is None:
                raise NotFoundError("That project was purged, or never existed", project_id)
            if project.deleted_at is None:
                raise ConflictError(f"{project.name} is not removed", hint="There is nothing to restore.")
            has_base = self._files.has_clone(self._data_dir.base(project_id))
            if not has_base and all(entry.name != project_id for entry in self._files.trash_entries()):
                hint = "Add it again: relay project add SOURCE."
                raise NotFoundError(f"The base clone of {project.name} is no longer in the trash", hint=hint)
            with self._locks.while_written(), self._repository.transaction() as change:
                taken = [p.name for p in change.records.live_projects()]
                restored = [
                    undeleted(s, s.name)
                    for s in change.records.sessions.values()
                    if s.project_id == project_id and s.deleted_at == project.deleted_at
                ]
                name = naming.unique_name(project.name, taken)
                change.put(replace(project, name=name, desired=DesiredState.RUNNING, deleted_at=None, updated_at=now()))
                for session in restored:
                    self._sessions.put_claimed(session, change)
            self._restore_base(project_id)
        return restored

    def resume_restore(self, project_id: str) -> None:
        """Resume an interrupted restore: move the base clone out of the trash."""
        with self._locks.hold(project_id, "restoring a project"):
            self._restore_base(project_id)

    def _restore_base(self, project_id: str) -> None:
        if not self._files.has_clone(self._data_dir.base(project_id)):
            self._files.from_trash(project_id, self._data_dir.project(project_id))

    def first_session(self, project_id: str) -> Session:
        """Store a session for a ready project that has none; return it, or the one that exists."""
        project = self._repository.find_project(project_id)
        return self._make_ready(project_id, project.default_branch, self._data_dir.base(project_id))

    def write_error(self, project_id: str, fault: Fault) -> None:
        """Write an error of the base clone on the project's row."""
        self._update(project_id, clone_state=CloneState.ERROR, clone_error=fault)

    def _make_ready(self, project_id: str, head: str, base: Path) -> Session:
        """Mark the project as ready and store its first session in one transaction: a ready project has a session."""
        heads = {branch.name for branch in self._git.branches(base)}
        choice = self._drafts.choose_first_runtime(project_id)
        with self._locks.while_written(), self._repository.transaction() as change:
            project = change.records.projects[project_id]
            branch = project.default_branch or head
            if branch not in heads:
                raise InvalidInputError(
                    "branch",
                    f"The repository has no branch '{branch}'",
                    hint=f"{{Press|Run}} {{retry_project}} to use the repository's default branch, {head}.",
                )
            project = replace(
                project, default_branch=branch, clone_state=CloneState.READY, clone_error=None, updated_at=now()
            )
            change.put(project)
            live = [s for s in change.records.live_sessions(project_id) if s.desired is not DesiredState.REMOVED]
            if live:
                return live[0]
            first = self._drafts.build_draft(NewSession(project=project_id), change.records, heads, choice)
            self._sessions.put_claimed(first, change)
        return first

    def _update(
        self, project_id: str, stamp: str = "", *, unready: bool = False, urgent: bool = False, **changes: object
    ) -> Project:
        with self._repository.transaction(urgent=urgent) as change:
            project = change.records.projects.get(project_id)
            if project is None or unready:
                project = live_project(change.records, project_id)
            if unready and project.desired is DesiredState.REMOVED:
                raise ConflictError(f"{project.name} is being removed", hint="Remove it again to complete the removal.")
            if unready and project.clone_state is CloneState.READY:
                raise ConflictError(f"{project.name} is cloned already", hint="There is nothing to retry.")
            project = replace(project, updated_at=stamp or now(), **changes)  # type: ignore[arg-type]
            change.put(project)
        return project

    def _discard(self, project_id: str) -> None:
        """Delete a project whose clone was cancelled, unless sessions of an earlier clone still need the project."""
        self._secrets.pop(project_id, None)
        if any(session.project_id == project_id for session in self._repository.read().sessions.values()):
            cancelled = Fault("cancelled", "Cancelled", hint="{Press|Run} {retry_project} to clone again.")
            self._update(project_id, clone_state=CloneState.ERROR, clone_error=cancelled)
            return
        self._update(
            project_id, desired=DesiredState.REMOVED
        )  # after a crash here, the next reconcile completes the removal
        self._files.delete(self._data_dir.project(project_id))
        with self._repository.transaction() as change:
            change.drop(project_id)


def _check_name_unused(name: str, records: Records) -> None:
    if name.casefold() in {project.name.casefold() for project in records.live_projects()}:
        raise NameTakenError(f"A project '{name}' exists already", hint="Choose another name.")
