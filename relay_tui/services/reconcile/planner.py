"""What is to be done so that records, directories and containers agree: one pure function of the three worlds."""

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
    "{retry_project} clones it again.",
)
CLONE_GONE = Fault(
    "file-system",
    "The clone is gone",
    "Something other than relay removed its directory.",
    "{retry} clones it again.",
)


class StepKind(StrEnum):
    """What a step does."""

    FINISH_CLONE = "finish-clone"
    """Clone a project whose clone was cut."""
    FIRST_SESSION = "first-session"
    """Put a ready project's missing first session on record and build it."""
    BASE_GONE = "base-gone"
    """Say on the project's row that its base clone is gone."""
    FINISH_PROJECT_REMOVAL = "finish-project-removal"
    """Go on removing a project."""
    FINISH_REMOVAL = "finish-removal"
    """Go on removing a session."""
    BRING_BACK = "bring-back"
    """Move a restored project's base clone out of the trash."""
    BUILD = "build"
    """Make what a session is missing, and start it."""
    STOP = "stop"
    """Stop a session that is to be stopped."""
    NOTE = "note"
    """Write on the session's row what was observed."""
    END_LEFT = "end-left"
    """End programs of a session that outlived what kept them."""
    ADOPT_CONTAINER = "adopt-container"
    """Put a container on its session's record: relay was killed before it could."""
    REMOVE_CONTAINER = "remove-container"
    """Remove a second container of a session, or that of a removed session."""
    CLEAR_PARTIAL = "clear-partial"
    """Delete what a cut clone left under its temporary name."""
    UNKNOWN_CONTAINER = "unknown-container"
    """A container carries relay's labels, but no record knows its session. Never touched unasked."""
    UNKNOWN_DIRECTORY = "unknown-directory"
    """A clone lies in the data dir, but no record knows it. Never touched unasked."""


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
"""What takes so long that its progress is to be seen."""


ASKS = frozenset({StepKind.UNKNOWN_CONTAINER, StepKind.UNKNOWN_DIRECTORY})
"""Steps that only a person decides on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan; repeating it does no harm. `subject` is a record's id, a container's id or a path."""

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
    unseen: Collection[str] = (),
) -> list[Step]:
    """The steps, in the order in which they are to be taken; [] when all is well.

    `containers` is None when nothing answers, and `unseen` names the runtimes that do not: then nothing is concluded
    from the absence of what is theirs. `busy` holds the ids that some process is at work on: they are left alone.
    """
    by_session: dict[str, list[ContainerState]] = {}
    for container in containers or ():
        by_session.setdefault(container.session_id, []).append(container)
    steps: list[Step] = []
    for project in records.projects.values():
        if project.deleted_at is None and project.id not in busy:
            steps += _project(project, records, disk)
    for session in records.sessions.values():
        owner = records.projects.get(session.project_id)
        project_busy = session.project_id in busy or (owner is not None and _leaving(owner))
        if session.deleted_at is None and session.id not in busy and not project_busy:
            hidden = containers is None or session.runtime in unseen
            own = None if hidden else by_session.get(session.id, [])
            gone = owner is not None and owner.deleted_at is not None
            steps += _session(session, disk, own, orphaned=gone)
    steps += _strays(records, disk, containers or (), busy)
    return steps


def _leaving(project: Project) -> bool:
    """Whether its removal, under way, takes care of its sessions."""
    return project.deleted_at is None and project.desired is DesiredState.REMOVED


def _project(project: Project, records: Records, disk: DataDirSurvey) -> Iterator[Step]:
    name = project.name
    if project.desired is DesiredState.REMOVED:
        yield Step(StepKind.FINISH_PROJECT_REMOVAL, project.id, f"go on removing {name}")
    elif project.clone_state in {CloneState.PENDING, CloneState.CLONING}:
        yield Step(StepKind.FINISH_CLONE, project.id, f"go on cloning {name}")
    elif project.clone_state is CloneState.READY and project.id not in disk.bases and project.id in disk.trash:
        yield Step(StepKind.BRING_BACK, project.id, f"bring the base clone of {name} back from the trash")
    elif project.clone_state is CloneState.READY and project.id not in disk.bases:
        yield Step(StepKind.BASE_GONE, project.id, f"say that the base clone of {name} is gone")
    elif project.clone_state is CloneState.READY and all(
        session.desired is DesiredState.REMOVED for session in records.live_sessions(project.id)
    ):
        yield Step(StepKind.FIRST_SESSION, project.id, f"give {name} a session")


def _session(
    session: Session, disk: DataDirSurvey, containers: list[ContainerState] | None, *, orphaned: bool
) -> Iterator[Step]:
    """`containers` are the session's own; None: nobody knows. `orphaned`: its project was removed without it."""
    name = session.name
    if orphaned or session.desired is DesiredState.REMOVED:
        yield Step(StepKind.FINISH_REMOVAL, session.id, f"go on removing {name}", about=session)
        return
    unfinished = _unfinished(session, containers)
    container = _own(session, containers or [], unfinished=unfinished)
    if container is not None and container.container_id != session.container_id:
        words = f"put container {container.container_id[:12]} on the record of {name}"
        yield Step(StepKind.ADOPT_CONTAINER, session.id, words, container_id=container.container_id)
    for extra in containers or ():
        if extra is not container:
            words = f"remove {extra.container_id[:12]}, a container of {name} that is not the one on record"
            yield Step(StepKind.REMOVE_CONTAINER, extra.container_id, words)
    if unfinished:
        act = StepKind.STOP if session.desired is DesiredState.STOPPED else StepKind.BUILD
        words = f"go on {'stopping' if act is StepKind.STOP else 'making'} {name}"
        yield Step(act, session.id, words, None, container.container_id if container else "", session)
    elif session.id not in disk.clones:
        # without a container there never was a whole clone: the row says already why not
        if session.container_id and session.error_reason != CLONE_GONE:
            update = StateUpdate(SessionState.ERROR, session.exit_code, CLONE_GONE)
            yield Step(StepKind.NOTE, session.id, f"say that the clone of {name} is gone", update, about=session)
    elif containers is not None:
        yield from _observed(session, container)


def _own(session: Session, containers: list[ContainerState], *, unfinished: bool) -> ContainerState | None:
    """The container on record if it is there, else a running one, else one that ran.

    One that was created and is not on record is nobody's: relay may have been killed before it was whole. Neither is
    one that ended while relay was at work on the session: it may be the one that was to be replaced.
    """
    recorded = [seen for seen in containers if seen.container_id == session.container_id]
    running = [seen for seen in containers if seen.status == "running"]
    ran = [seen for seen in containers if seen.status != "created" and not unfinished]
    return next(iter([*recorded, *running, *ran]), None)


def _unfinished(session: Session, containers: list[ContainerState] | None) -> bool:
    """Whether a relay was killed at work on it, or the engine was away and is back."""
    if session.state in {SessionState.STARTING, SessionState.REMOVING}:
        return True
    waited = session.error_reason is not None and session.error_reason.kind == "engine-unreachable"
    return waited and containers is not None


def _observed(session: Session, container: ContainerState | None) -> Iterator[Step]:
    if container is not None and container.status == "running" and session.desired is DesiredState.STOPPED:
        words = f"stop {session.name}, which is to be stopped"
        yield Step(StepKind.STOP, session.id, words, None, container.container_id, session)
        return
    update = observation.status_update(session, container)
    if update is not None:
        said = update.reason.title if update.reason else str(update.state)
        container_id = container.container_id if container else ""
        yield Step(StepKind.NOTE, session.id, f"note on {session.name}: {said}", update, container_id, session)
    if container is not None and container.left:
        left = observation.survivors_notice(container.left)
        words = f"end what is left of {session.name}: {left}, and nothing keeps them"
        yield Step(StepKind.END_LEFT, session.id, words, None, container.container_id)


def _strays(
    records: Records, disk: DataDirSurvey, containers: Sequence[ContainerState], busy: Collection[str]
) -> Iterator[Step]:
    for container in containers:
        session = records.sessions.get(container.session_id)
        short = container.container_id[:12]
        if session is None and container.session_id not in busy:
            words = f"container {short} carries relay's labels, but its session {container.session_id} is not on record"
            yield Step(StepKind.UNKNOWN_CONTAINER, container.container_id, words)
        elif session is not None and session.deleted_at is not None and session.id not in busy:
            yield Step(
                StepKind.REMOVE_CONTAINER, container.container_id, f"remove the container of removed {session.name}"
            )
    for session_id, project_id in disk.clones.items():
        known = records.sessions.get(session_id)
        if (known is None or known.deleted_at is not None) and not {session_id, project_id} & set(busy):
            words = f"the clone {project_id}/{session_id} is not on record"
            yield Step(StepKind.UNKNOWN_DIRECTORY, session_id, words)
    for project_id in sorted(disk.bases):
        project = records.projects.get(project_id)
        if (project is None or project.deleted_at is not None) and project_id not in busy:
            yield Step(StepKind.UNKNOWN_DIRECTORY, project_id, f"the base clone {project_id} is not on record")
    for path in disk.partials:
        owner = path.name.partition(".partial-")[0]
        if not {owner, path.parent.name, path.parent.parent.name} & set(busy):
            yield Step(StepKind.CLEAR_PARTIAL, str(path), f"delete the cut clone {path.name}")
