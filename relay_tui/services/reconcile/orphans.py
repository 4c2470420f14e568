"""Orphans: clones and containers without a record. A person decides whether to adopt or remove them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay_tui.domain.errors import ConflictError, NotFoundError, RelayError
from relay_tui.domain.events import EventBus, OrphansFound, RecordsChanged
from relay_tui.domain.models import CloneState, DesiredState, Project, Session, SessionState, now
from relay_tui.ports.task import TaskContext
from relay_tui.services import naming
from relay_tui.services.reconcile.planner import ASKS, Step, StepKind
from relay_tui.services.runtime_router import DOCKER, PROCESS, PROCESS_ID, survey
from relay_tui.services.sessions.container_spec import choose_image, spec_notes

if TYPE_CHECKING:
    from relay_tui.config import Config
    from relay_tui.paths import DataDir
    from relay_tui.ports import ContainerState, Files, Git, Runtime, Store
    from relay_tui.services.projects import ProjectService
    from relay_tui.services.sessions.service import SessionService

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class OrphanResult:
    """Result of adopting or removing an orphan; `error` is the reason of a failure."""

    step: Step
    error: RelayError | None = None


class OrphanService:
    """Adopts or removes orphans, only when a person requests it."""

    def __init__(
        self,
        *,
        store: Store,
        git: Git,
        files: Files,
        runtime: Runtime,
        bus: EventBus,
        config: Config,
        data_dir: DataDir,
        projects: ProjectService,
        sessions: SessionService,
    ) -> None:
        self._store = store
        self._git = git
        self._files = files
        self._runtime = runtime
        self._bus = bus
        self._config = config
        self._data_dir = data_dir
        self._projects = projects
        self._sessions = sessions
        self.found: tuple[Step, ...] = ()
        """Orphans of the latest plan."""

    def note(self, plan: Sequence[Step]) -> None:
        """Store the orphans of a plan; publish OrphansFound if they changed."""
        found = tuple(step for step in plan if step.act in ASKS)
        if found != self.found:
            self.found = found
            self._bus.publish(OrphansFound(tuple(step.words for step in found)))

    def trash(self, steps: Sequence[Step]) -> list[OrphanResult]:
        """Move orphaned clones to the trash, remove orphaned containers."""
        return [_apply(step, self._trash) for step in steps if step.act in ASKS]

    def adopt(self, steps: Sequence[Step]) -> list[OrphanResult]:
        """Store records for orphaned clones and their containers; a container without a clone cannot be adopted.

        Base clones come first, because a session needs its project. The containers of adopted sessions are then no
        longer orphans.
        """
        bases = self._files.survey().bases
        directories = [step for step in steps if step.act is StepKind.UNKNOWN_DIRECTORY]
        directories.sort(key=lambda step: step.subject not in bases)
        results = [_apply(step, self._adopt) for step in directories]
        results += [_apply(step, self._adopt) for step in steps if step.act is StepKind.UNKNOWN_CONTAINER]
        self._bus.publish(RecordsChanged())
        return results

    def _trash(self, step: Step) -> None:
        if step.act is StepKind.UNKNOWN_CONTAINER:
            self._runtime.remove(step.subject)
            return
        disk = self._files.survey()
        if step.subject in disk.clones:
            path = self._data_dir.session(disk.clones[step.subject], step.subject)
        elif step.subject in disk.bases:
            path = self._data_dir.project(step.subject)
        else:
            raise NotFoundError("The clone no longer exists", step.subject)
        self._files.to_trash(path, step.subject)

    def _adopt(self, step: Step) -> None:
        disk, records = self._files.survey(), self._store.read()
        if step.act is StepKind.UNKNOWN_CONTAINER:
            self._check_container(step.subject)
        elif step.subject in records.sessions:
            self._sessions.build(self._sessions.restore(step.subject).id, TaskContext())
        elif step.subject in records.projects:
            for session in self._projects.restore(step.subject):
                self._sessions.build(session.id, TaskContext())
        elif not _ID.fullmatch(step.subject):
            raise ConflictError(
                f"'{step.subject}' cannot be an id", hint="Rename the directory to letters and digits, then try again."
            )
        elif step.subject in disk.clones:
            self._adopt_session(step.subject, disk.clones[step.subject])
        elif step.subject in disk.bases:
            self._adopt_project(step.subject)
        else:
            raise NotFoundError("The clone no longer exists", step.subject)

    def _check_container(self, container_id: str) -> None:
        if self._runtime.inspect(container_id).session_id not in self._store.read().sessions:
            raise ConflictError(
                "A container without a clone cannot be adopted",
                container_id,
                "{Remove it|Use --trash-unknown to remove it}.",
            )

    def _adopt_project(self, project_id: str) -> None:
        base = self._data_dir.base(project_id)
        source = self._git.parse_source(self._git.origin(base)).url
        heads = self._git.branches(base)
        with self._store.transaction() as change:
            stamp = now()
            project = Project(
                id=project_id,
                name=naming.suggest_project(source, change.records),
                source=source,
                default_branch=self._git.default_branch(base) or next((head.name for head in heads), ""),
                clone_state=CloneState.READY,
                created_at=stamp,
                updated_at=stamp,
            )
            change.put(project)

    def _adopt_session(self, session_id: str, project_id: str) -> None:
        """Store a session in its current state: running if its container runs, else stopped."""
        project = self._store.read().projects.get(project_id)
        if project is None or project.deleted_at is not None:
            raise ConflictError(
                "The session's project has no record",
                project_id,
                "Run relay project restore, or add its repository again.",
            )
        container = self._container_of(session_id)
        container_id, runs = (container.container_id, container.status == "running") if container else ("", False)
        runtime = PROCESS if container_id.startswith(PROCESS_ID) else DOCKER
        isolated = container.isolated if container else True  # without a container: it gets one when it is started
        branch = self._branch(session_id, project)
        with self._store.transaction() as change:
            stamp = now()
            profile = self._config.find_profile(project.default_profile)
            session = Session(
                id=session_id,
                project_id=project_id,
                name=naming.suggest_session(project_id, branch, change.records),
                branch=branch,
                base_branch=project.default_branch,
                image=choose_image("", profile, project, self._config) if runtime == DOCKER else "",
                profile=profile.name,
                work_dir=str(self._data_dir.session(project_id, session_id)),
                runtime=runtime,
                isolated=isolated,
                container_id=container_id,
                desired=DesiredState.RUNNING if runs else DesiredState.STOPPED,
                state=SessionState.RUNNING if runs else SessionState.STOPPED,
                notes=("It was found without a record and adopted.", *spec_notes(runtime, isolated, profile)),
                created_at=stamp,
                updated_at=stamp,
            )
            change.put(session)

    def _container_of(self, session_id: str) -> ContainerState | None:
        """Return the session's container, a running one first; None if none is visible."""
        own = [found for found in survey(self._runtime).containers if found.session_id == session_id]
        return min(own, key=lambda found: found.status != "running", default=None)

    def _branch(self, session_id: str, project: Project) -> str:
        """Return the clone's current branch, or the project's default branch if it cannot be determined."""
        try:
            found = self._git.branch_of(self._data_dir.session(project.id, session_id))
            self._git.check_branch_name(found)
        except RelayError:
            return project.default_branch
        return found


def _apply(step: Step, act: Callable[[Step], None]) -> OrphanResult:
    try:
        act(step)
    except RelayError as error:
        return OrphanResult(step, error)
    return OrphanResult(step)
