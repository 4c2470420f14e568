"""Reconciliation planner: a pure function from records, directories and containers to the steps that align them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from relay_tui.domain.errors import Fault
from relay_tui.domain.models import CloneState, DesiredState, Project, Records, Session, SessionState
from relay_tui.services.sessions import observation
from relay_tui.services.sessions.observation import StateUpdate

if TYPE_CHECKING:
    from relay_tui.ports import ContainerState, DataDirSurvey

BASE_GONE = Fault(
    "file-system",
    "The base clone is gone",
    "Something other than relay removed it.",
    "{Press|Run} {retry_project} to clone it again.",
)
CLONE_GONE = Fault(
    "file-system",
    "The clone is gone",
    "Something other than relay removed its directory.",
    "{Press|Run} {retry} to clone it again.",
)


class StepKind(StrEnum):
    """Kind of a step. The values are part of the JSON output."""

    FINISH_CLONE = "finish-clone"
    """Clone a project whose clone was interrupted."""
    FIRST_SESSION = "first-session"
    """Store and build the missing first session of a ready project."""
    BASE_GONE = "base-gone"
    """Write on the project's row that its base clone is gone."""
    FINISH_PROJECT_REMOVAL = "finish-project-removal"
    """Continue the removal of a project."""
    FINISH_REMOVAL = "finish-removal"
    """Continue the removal of a session."""
    BRING_BACK = "bring-back"
    """Move a restored project's base clone out of the trash."""
    BUILD = "build"
    """Create the missing parts of a session, and start it."""
    STOP = "stop"
    """Stop a session that should be stopped."""
    NOTE = "note"
    """Write the observed state on the session's row."""
    END_LEFT = "end-left"
    """End programs of a session that outlived their supervisor."""
    ADOPT_CONTAINER = "adopt-container"
    """Store a container in its session's record: relay was killed before it did."""
    REMOVE_CONTAINER = "remove-container"
    """Remove a second container of a session, or the container of a removed session."""
    CLEAR_PARTIAL = "clear-partial"
    """Delete an interrupted clone, which has a temporary name."""
    UNKNOWN_CONTAINER = "unknown-container"
    """An orphaned container: it has relay's labels, but its session has no record. A person decides about it."""
    UNKNOWN_DIRECTORY = "unknown-directory"
    """An orphaned clone: it is in the data directory, but has no record. A person decides about it."""


LONG = frozenset(
    {
        StepKind.FINISH_CLONE,
        StepKind.FIRST_SESSION,
        StepKind.BUILD,
        StepKind.STOP,
        StepKind.END_LEFT,
        StepKind.FINISH_REMOVAL,
        StepKind.FINISH_PROJECT_REMOVAL,
    }
)
"""Steps that take long enough to show their progress."""


ASKS = frozenset({StepKind.UNKNOWN_CONTAINER, StepKind.UNKNOWN_DIRECTORY})
"""Steps that only a person decides about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan; it can be repeated. `subject` is a record's id, a container's id or a path."""

    act: StepKind
    subject: str
    words: str
    update: StateUpdate | None = None
    container_id: str = ""
    about: Session | None = field(default=None, compare=False)
    """The session's record as it was when the step was planned."""


def plan(
    records: Records,
    disk: DataDirSurvey,
    containers: Sequence[ContainerState] | None,
    busy: Collection[str],
    unreachable: Collection[str] = (),
) -> list[Step]:
    """Return the steps in the order of execution; [] if everything agrees.

    `containers` is None if no runtime answers, and `unreachable` names the runtimes that do not: the absence of their
    containers then means nothing. `busy` holds the ids that an operation is running on; they get no steps.
    """
    by_session: dict[str, list[ContainerState]] = {}
    for container in containers or ():
        by_session.setdefault(container.session_id, []).append(container)
    steps: list[Step] = []
    for project in records.projects.values():
        if project.deleted_at is None and project.id not in busy:
            steps += _plan_project(project, records, disk)
    for session in records.sessions.values():
        project_of_session = records.projects.get(session.project_id)
        if session.deleted_at is not None or session.id in busy or session.project_id in busy:
            continue
        if project_of_session is not None and _is_being_removed(project_of_session):
            continue  # the removal of the project includes its sessions
        is_hidden = containers is None or session.runtime in unreachable
        own = None if is_hidden else by_session.get(session.id, [])
        project_removed = project_of_session is not None and project_of_session.deleted_at is not None
        steps += _plan_session(session, disk, own, project_removed=project_removed)
    steps += _plan_orphans(records, disk, containers or (), busy)
    return steps


def _is_being_removed(project: Project) -> bool:
    return project.deleted_at is None and project.desired is DesiredState.REMOVED


def _plan_project(project: Project, records: Records, disk: DataDirSurvey) -> Iterator[Step]:
    name = project.name
    if project.desired is DesiredState.REMOVED:
        yield Step(StepKind.FINISH_PROJECT_REMOVAL, project.id, f"continue removing {name}")
    elif project.clone_state in {CloneState.PENDING, CloneState.CLONING}:
        yield Step(StepKind.FINISH_CLONE, project.id, f"continue cloning {name}")
    elif project.clone_state is CloneState.READY and project.id not in disk.bases and project.id in disk.trash:
        yield Step(StepKind.BRING_BACK, project.id, f"restore the base clone of {name} from the trash")
    elif project.clone_state is CloneState.READY and project.id not in disk.bases:
        yield Step(StepKind.BASE_GONE, project.id, f"note that the base clone of {name} is gone")
    elif project.clone_state is CloneState.READY and all(
        session.desired is DesiredState.REMOVED for session in records.live_sessions(project.id)
    ):
        yield Step(StepKind.FIRST_SESSION, project.id, f"create a session for {name}")


def _plan_session(
    session: Session, disk: DataDirSurvey, containers: list[ContainerState] | None, *, project_removed: bool
) -> Iterator[Step]:
    """Yield the steps of one session.

    `containers` are the session's own; None: unknown. `project_removed`: its project was removed without it.
    """
    name = session.name
    if project_removed or session.desired is DesiredState.REMOVED:
        yield Step(StepKind.FINISH_REMOVAL, session.id, f"continue removing {name}", about=session)
        return
    unfinished = _is_unfinished(session, containers)
    container = _current_container(session, containers or [], unfinished=unfinished)
    if container is not None and container.container_id != session.container_id:
        words = f"record container {container.container_id[:12]} for {name}"
        yield Step(StepKind.ADOPT_CONTAINER, session.id, words, container_id=container.container_id)
    for extra in containers or ():
        if extra is not container:
            words = f"remove {extra.container_id[:12]}, a second container of {name}"
            yield Step(StepKind.REMOVE_CONTAINER, extra.container_id, words)
    if unfinished:
        act = StepKind.STOP if session.desired is DesiredState.STOPPED else StepKind.BUILD
        words = f"continue {'stopping' if act is StepKind.STOP else 'creating'} {name}"
        yield Step(act, session.id, words, None, container.container_id if container else "", session)
    elif session.id not in disk.clones:
        # without a container there was never a complete clone: the row has that error already
        is_noted = session.error_reason is not None and session.error_reason.title == CLONE_GONE.title
        if session.container_id and not is_noted:
            update = StateUpdate(SessionState.ERROR, session.exit_code, CLONE_GONE)
            yield Step(StepKind.NOTE, session.id, f"note that the clone of {name} is gone", update, about=session)
    elif containers is not None:
        yield from _plan_observed(session, container)


def _current_container(
    session: Session, containers: list[ContainerState], *, unfinished: bool
) -> ContainerState | None:
    """Return the recorded container if it exists, else a running one, else one that ran.

    A container that was created and not recorded is not used: relay may have been killed before it was complete.
    Neither is one that ended during an unfinished operation: the operation may have been about to replace it.
    """
    recorded = [container for container in containers if container.container_id == session.container_id]
    running = [container for container in containers if container.status == "running"]
    ran = [container for container in containers if container.status != "created" and not unfinished]
    return next(iter([*recorded, *running, *ran]), None)


def _is_unfinished(session: Session, containers: list[ContainerState] | None) -> bool:
    """Return whether an operation was interrupted: relay was killed, or the engine was unreachable and is back."""
    if session.state in {SessionState.STARTING, SessionState.REMOVING}:
        return True
    waits_for_engine = session.error_reason is not None and session.error_reason.kind == "engine-unreachable"
    return waits_for_engine and containers is not None


def _plan_observed(session: Session, container: ContainerState | None) -> Iterator[Step]:
    """Yield the steps that follow from the container's state."""
    if container is not None and container.status == "running" and session.desired is DesiredState.STOPPED:
        words = f"stop {session.name}, which should be stopped"
        yield Step(StepKind.STOP, session.id, words, None, container.container_id, session)
        return
    update = observation.status_update(session, container)
    if update is not None:
        title = update.reason.title if update.reason else str(update.state)
        container_id = container.container_id if container else ""
        yield Step(StepKind.NOTE, session.id, f"note on {session.name}: {title}", update, container_id, session)
    if container is not None and container.left:
        survivors = observation.survivors_notice(container.left)
        words = f"end the programs of {session.name}: {survivors} without a supervisor"
        yield Step(StepKind.END_LEFT, session.id, words, None, container.container_id)


def _plan_orphans(
    records: Records, disk: DataDirSurvey, containers: Sequence[ContainerState], busy: Collection[str]
) -> Iterator[Step]:
    yield from _plan_orphaned_containers(records, containers, busy)
    yield from _plan_orphaned_clones(records, disk, busy)
    for path in disk.partials:
        record_id = path.name.partition(".partial-")[0]
        if not {record_id, path.parent.name, path.parent.parent.name} & set(busy):
            yield Step(StepKind.CLEAR_PARTIAL, str(path), f"delete the interrupted clone {path.name}")


def _plan_orphaned_containers(
    records: Records, containers: Sequence[ContainerState], busy: Collection[str]
) -> Iterator[Step]:
    for container in containers:
        session = records.sessions.get(container.session_id)
        short = container.container_id[:12]
        if session is None and container.session_id not in busy:
            words = f"container {short} has relay's labels, but its session {container.session_id} has no record"
            yield Step(StepKind.UNKNOWN_CONTAINER, container.container_id, words)
        elif session is not None and session.deleted_at is not None and session.id not in busy:
            words = f"remove the container of the removed session {session.name}"
            yield Step(StepKind.REMOVE_CONTAINER, container.container_id, words)


def _plan_orphaned_clones(records: Records, disk: DataDirSurvey, busy: Collection[str]) -> Iterator[Step]:
    for session_id, project_id in disk.clones.items():
        known = records.sessions.get(session_id)
        if (known is None or known.deleted_at is not None) and not {session_id, project_id} & set(busy):
            words = f"the clone {project_id}/{session_id} has no record"
            yield Step(StepKind.UNKNOWN_DIRECTORY, session_id, words)
    for project_id in sorted(disk.bases):
        project = records.projects.get(project_id)
        if (project is None or project.deleted_at is not None) and project_id not in busy:
            yield Step(StepKind.UNKNOWN_DIRECTORY, project_id, f"the base clone {project_id} has no record")
