"""The plan: the step for each difference between records, directories and containers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import pytest

from relay_tui.domain.errors import Fault
from relay_tui.domain.models import CloneState, DesiredState, Project, Records, Session, SessionState
from relay_tui.ports import ContainerState, DataDirSurvey
from relay_tui.services.reconcile.planner import ASKS, BASE_GONE, Step, StepKind, plan
from relay_tui.services.sessions import observation

T = TypeVar("T")
PROJECT = Project(id="p", name="flask", source="/src", default_branch="main", clone_state=CloneState.READY)
SESSION = Session(
    id="s",
    project_id="p",
    name="fox",
    branch="main",
    base_branch="main",
    image="i",
    profile="default",
    work_dir="/w",
    container_id="c",
    state=SessionState.RUNNING,
)
RUNNING = ContainerState("c", "s", "p", "running")
DISK = DataDirSurvey(frozenset({"p"}), MappingProxyType({"s": "p"}))


def records(*rows: Project | Session) -> Records:
    return Records(
        MappingProxyType({row.id: row for row in rows if isinstance(row, Project)}),
        MappingProxyType({row.id: row for row in rows if isinstance(row, Session)}),
    )


def acts(
    *rows: Project | Session,
    disk: DataDirSurvey = DISK,
    containers: list[ContainerState] | None = None,
    engine: bool = True,
    busy: frozenset[str] = frozenset(),
) -> list[tuple[StepKind, str]]:
    seen = ([RUNNING] if containers is None else containers) if engine else None
    return [(step.act, step.subject) for step in plan(records(*rows), disk, seen, busy)]


def test_nothing_to_do() -> None:
    assert acts(PROJECT, SESSION) == []
    assert acts(disk=DataDirSurvey(), containers=[]) == []


CUT = replace(SESSION, state=SessionState.STARTING, container_id="")
NO_CLONE = replace(DISK, clones=MappingProxyType({}))
STOPPED = replace(SESSION, desired=DesiredState.STOPPED, state=SessionState.STOPPED)
LEAVING = replace(SESSION, desired=DesiredState.REMOVED, state=SessionState.REMOVING)
GONE = replace(SESSION, desired=DesiredState.REMOVED, deleted_at="2026-01-01T00:00:00Z", container_id="")
FAILED = replace(CUT, state=SessionState.ERROR, error_reason=Fault("git", "The session's clone cannot be made"))
UNREACHABLE = replace(SESSION, state=SessionState.ERROR, error_reason=Fault("engine-unreachable", "The engine is away"))


@pytest.mark.parametrize(
    ("session", "disk", "containers", "expected"),
    [
        pytest.param(CUT, NO_CLONE, [], [(StepKind.BUILD, "s")], id="record without clone"),
        pytest.param(CUT, DISK, [], [(StepKind.BUILD, "s")], id="clone without container"),
        pytest.param(
            CUT,
            replace(NO_CLONE, partials=(Path("/d/projects/p/sessions/s.partial-1"),)),
            [],
            [(StepKind.BUILD, "s"), (StepKind.CLEAR_PARTIAL, "/d/projects/p/sessions/s.partial-1")],
            id="clone half made",
        ),
        pytest.param(
            CUT,
            DISK,
            [RUNNING],
            [(StepKind.ADOPT_CONTAINER, "s"), (StepKind.BUILD, "s")],
            id="container not yet on record",
        ),
        pytest.param(
            CUT,
            DISK,
            [replace(RUNNING, status="created")],
            [(StepKind.REMOVE_CONTAINER, "c"), (StepKind.BUILD, "s")],
            id="container perhaps half made",
        ),
        pytest.param(
            CUT,
            DISK,
            [replace(RUNNING, status="exited", exit_code=1)],
            [(StepKind.REMOVE_CONTAINER, "c"), (StepKind.BUILD, "s")],
            id="container that was to be replaced",
        ),
        pytest.param(
            CUT,
            replace(NO_CLONE, trash=frozenset({"s"})),
            [],
            [(StepKind.BUILD, "s")],
            id="restore cut, clone in the trash",
        ),
        pytest.param(
            replace(CUT, desired=DesiredState.STOPPED),
            DISK,
            [RUNNING],
            [(StepKind.ADOPT_CONTAINER, "s"), (StepKind.STOP, "s")],
        ),
        pytest.param(
            replace(LEAVING, desired=DesiredState.STOPPED),
            DISK,
            [RUNNING],
            [(StepKind.STOP, "s")],
            id="removal undone, stop cut",
        ),
        pytest.param(
            LEAVING,
            replace(NO_CLONE, trash=frozenset({"s"})),
            [],
            [(StepKind.FINISH_REMOVAL, "s"), (StepKind.FIRST_SESSION, "p")],
            id="removal cut after the clone went",
        ),
        pytest.param(FAILED, NO_CLONE, [], [], id="a clone that never was: its row says why"),
        pytest.param(
            FAILED,
            NO_CLONE,
            [replace(RUNNING, status="created")],
            [(StepKind.REMOVE_CONTAINER, "c")],
            id="a clone that never was, but its container",
        ),
        pytest.param(SESSION, DISK, [], [(StepKind.NOTE, "s")], id="container gone"),
        pytest.param(SESSION, DISK, [replace(RUNNING, status="paused")], [(StepKind.NOTE, "s")], id="paused"),
        pytest.param(
            SESSION,
            DISK,
            [replace(RUNNING, status="exited", exit_code=137)],
            [(StepKind.NOTE, "s")],
            id="stopped by others",
        ),
        pytest.param(
            SESSION,
            DISK,
            [replace(RUNNING, status="exited", exit_code=137, oom_killed=True)],
            [(StepKind.NOTE, "s")],
            id="out of memory",
        ),
        pytest.param(STOPPED, DISK, [RUNNING], [(StepKind.STOP, "s")], id="running though to be stopped"),
        pytest.param(
            SESSION,
            DISK,
            [RUNNING, replace(RUNNING, container_id="d")],
            [(StepKind.REMOVE_CONTAINER, "d")],
            id="two containers",
        ),
        pytest.param(SESSION, NO_CLONE, [RUNNING], [(StepKind.NOTE, "s")], id="clone gone"),
        pytest.param(
            LEAVING, DISK, [RUNNING], [(StepKind.FINISH_REMOVAL, "s"), (StepKind.FIRST_SESSION, "p")], id="removal cut"
        ),
        pytest.param(UNREACHABLE, DISK, [RUNNING], [(StepKind.BUILD, "s")], id="the engine is back"),
    ],
)
def test_sessions(
    session: Session, disk: DataDirSurvey, containers: list[ContainerState], expected: list[tuple[StepKind, str]]
) -> None:
    assert sorted(acts(PROJECT, session, disk=disk, containers=containers)) == sorted(expected)


def test_an_exit_code_is_kept() -> None:
    ended = replace(RUNNING, status="exited", exit_code=3)
    [step] = plan(records(PROJECT, SESSION), DISK, [ended], ())
    assert step.update is not None
    assert step.update.exit_code == 3
    assert step.update.state is SessionState.ERROR
    assert step.container_id == "c"


def test_projects() -> None:
    for state in (CloneState.PENDING, CloneState.CLONING):
        assert acts(replace(PROJECT, clone_state=state), disk=DataDirSurvey(), containers=[]) == [
            (StepKind.FINISH_CLONE, "p")
        ]
    assert acts(PROJECT, disk=DataDirSurvey(frozenset({"p"})), containers=[]) == [(StepKind.FIRST_SESSION, "p")]
    leaving = replace(PROJECT, desired=DesiredState.REMOVED)
    assert acts(leaving, LEAVING) == [(StepKind.FINISH_PROJECT_REMOVAL, "p")]
    assert acts(PROJECT, SESSION, disk=replace(DISK, bases=frozenset())) == [(StepKind.BASE_GONE, "p")]
    trashed = replace(DISK, bases=frozenset(), trash=frozenset({"p"}))
    assert acts(PROJECT, SESSION, disk=trashed) == [(StepKind.BRING_BACK, "p")]
    failed = replace(PROJECT, clone_state=CloneState.ERROR)
    assert acts(failed, disk=DataDirSurvey(), containers=[]) == []  # that is for a person to retry


def test_what_nobody_knows_is_only_asked_about() -> None:
    other = ContainerState("x", "who", "p", "running")
    assert acts(PROJECT, SESSION, containers=[RUNNING, other]) == [(StepKind.UNKNOWN_CONTAINER, "x")]
    strange = replace(DISK, clones=MappingProxyType({"s": "p", "who": "p"}))
    assert acts(PROJECT, SESSION, disk=strange) == [(StepKind.UNKNOWN_DIRECTORY, "who")]
    assert acts(PROJECT, SESSION, disk=replace(DISK, bases=frozenset({"p", "q"}))) == [
        (StepKind.UNKNOWN_DIRECTORY, "q")
    ]


def test_the_container_of_a_removed_session_goes() -> None:
    left = ContainerState("g", "gone", "p", "running")
    assert acts(PROJECT, SESSION, replace(GONE, id="gone"), containers=[RUNNING, left]) == [
        (StepKind.REMOVE_CONTAINER, "g")
    ]


def test_without_an_engine_nothing_is_concluded_from_absence() -> None:
    assert acts(PROJECT, SESSION, engine=False) == []
    assert acts(PROJECT, STOPPED, engine=False) == []
    assert acts(PROJECT, UNREACHABLE, engine=False) == []
    assert acts(PROJECT, CUT, engine=False) == [(StepKind.BUILD, "s")]  # its clone can be made


def test_a_session_left_behind_by_its_project_goes_after_it() -> None:
    assert acts(replace(PROJECT, deleted_at="then"), SESSION, disk=replace(DISK, bases=frozenset())) == [
        (StepKind.FINISH_REMOVAL, "s")
    ]


def test_a_partial_clone_goes_whoever_it_was_of() -> None:
    paths = tuple(Path("/d/projects") / name for name in ("p/base.git.partial-1", "q/sessions/x.partial-2"))
    steps = acts(PROJECT, SESSION, disk=replace(DISK, partials=paths))
    assert steps == [(StepKind.CLEAR_PARTIAL, str(path)) for path in paths]
    for busy in ("q", "x"):
        assert acts(PROJECT, SESSION, disk=replace(DISK, partials=paths[1:]), busy=frozenset({busy})) == []


def test_what_is_noted_on_the_row() -> None:
    said = {}
    for status, oom_killed in (("exited", False), ("paused", False), ("exited", True)):
        seen = replace(RUNNING, status=status, exit_code=137, oom_killed=oom_killed)
        [step] = plan(records(PROJECT, SESSION), DISK, [seen], ())
        assert step.update is not None
        assert step.update.reason is not None
        said[status, oom_killed] = step.update.reason.title
        noted = observation.apply(SESSION, step.update)
        assert acts(PROJECT, noted, containers=[seen]) == []  # one report is enough
    assert "SIGKILL" in said["exited", False]
    assert "Paused" in said["paused", False]
    assert "memory" in said["exited", True]


@pytest.mark.parametrize("busy", ["s", "p"])
def test_what_someone_is_at_work_on_is_left_alone(busy: str) -> None:
    partial = replace(NO_CLONE, partials=(Path("/d/projects/p/sessions/s.partial-1"),))
    steps = acts(PROJECT, CUT, disk=partial, containers=[], busy=frozenset({busy}))
    assert steps == []


# --- any world at all ------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Records, directories and containers, and what each step does to them."""

    projects: dict[str, Project] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    bases: set[str] = field(default_factory=set)
    clones: dict[str, str] = field(default_factory=dict)
    partials: set[Path] = field(default_factory=set)
    trash: set[str] = field(default_factory=set)
    containers: dict[str, ContainerState] = field(default_factory=dict)
    made: int = 0

    def plan(self) -> list[Step]:
        """Return the steps that are due without asking the user."""
        disk = DataDirSurvey(
            frozenset(self.bases), dict(self.clones), tuple(sorted(self.partials)), frozenset(self.trash)
        )
        steps = plan(records(*self.projects.values(), *self.sessions.values()), disk, [*self.containers.values()], ())
        return [step for step in steps if step.act not in ASKS]

    def take(self, step: Step) -> None:
        """Apply the effect of the services for one step."""
        key = step.subject
        if step.act in {StepKind.FINISH_CLONE, StepKind.FIRST_SESSION}:
            self.bases.add(key)
            self.projects[key] = replace(self.projects[key], clone_state=CloneState.READY, clone_error=None)
            self._first_session(key)
        elif step.act is StepKind.BASE_GONE:
            self.projects[key] = replace(self.projects[key], clone_state=CloneState.ERROR, clone_error=BASE_GONE)
        elif step.act is StepKind.BRING_BACK:
            self.trash.remove(key)
            self.bases.add(key)
        elif step.act is StepKind.FINISH_PROJECT_REMOVAL:
            self._remove_project(key)
        elif step.act is StepKind.FINISH_REMOVAL:
            self._remove(key)
        elif step.act is StepKind.BUILD:
            self._build(key)
        elif step.act is StepKind.STOP:
            self._stop(key)
        elif step.act is StepKind.NOTE:
            assert step.update is not None
            self.sessions[key] = observation.apply(self.sessions[key], step.update)
        elif step.act is StepKind.ADOPT_CONTAINER:
            self.sessions[key] = replace(self.sessions[key], container_id=step.container_id)
        elif step.act is StepKind.REMOVE_CONTAINER:
            self.containers.pop(key, None)
        else:
            assert step.act is StepKind.CLEAR_PARTIAL
            self.partials.discard(Path(key))

    def _first_session(self, project_id: str) -> None:
        live = [s for s in self.sessions.values() if s.project_id == project_id and s.deleted_at is None]
        if all(s.desired is DesiredState.REMOVED for s in live):
            self.made += 1
            key = f"first{self.made}"
            self.sessions[key] = replace(CUT, id=key, name=key, project_id=project_id)
            self._build(key)

    def _own(self, session_id: str) -> list[str]:
        return [key for key, seen in self.containers.items() if seen.session_id == session_id]

    def _remove(self, session_id: str) -> None:
        for key in self._own(session_id):
            del self.containers[key]
        if self.clones.pop(session_id, None):
            self.trash.add(session_id)
        gone = replace(self.sessions[session_id], desired=DesiredState.REMOVED, container_id="", deleted_at="now")
        self.sessions[session_id] = gone

    def _remove_project(self, project_id: str) -> None:
        for session in list(self.sessions.values()):
            if session.project_id == project_id and session.deleted_at is None:
                self._remove(session.id)
        self.bases.discard(project_id)
        self.trash.add(project_id)
        self.partials = {path for path in self.partials if project_id not in path.parts}
        self.clones = {key: owner for key, owner in self.clones.items() if owner != project_id}
        self.projects[project_id] = replace(self.projects[project_id], deleted_at="now")

    def _build(self, session_id: str) -> None:
        session = replace(self.sessions[session_id], desired=DesiredState.RUNNING, error_reason=None, exit_code=None)
        self.sessions[session_id] = session
        if session_id not in self.clones and session_id not in self.trash and session.project_id not in self.bases:
            fault = Fault("git", "There is nothing to clone from")
            self.sessions[session_id] = replace(session, state=SessionState.ERROR, error_reason=fault)
            return
        self.trash -= {session_id} - self.clones.keys()
        self.clones[session_id] = session.project_id
        if session.container_id not in self.containers:
            for key in self._own(session_id):
                del self.containers[key]
            self.made += 1
            session = replace(session, container_id=f"made{self.made}")
        seen = ContainerState(session.container_id, session_id, session.project_id, "running")
        self.containers[session.container_id] = seen
        self.sessions[session_id] = replace(session, state=SessionState.RUNNING)

    def _stop(self, session_id: str) -> None:
        session = self.sessions[session_id]
        seen = self.containers.get(session.container_id)
        if seen is not None and seen.status not in {"created", "exited"}:
            seen = self.containers[seen.container_id] = replace(seen, status="exited", exit_code=143)
        code = seen.exit_code if seen is not None else None
        self.sessions[session_id] = replace(session, state=SessionState.STOPPED, exit_code=code, error_reason=None)


def some_world(chance: random.Random) -> World:
    """Records, directories and containers that need not know of each other."""
    world = World()

    def often(value: T, other: T) -> T:
        return value if chance.random() < 0.7 else other

    for project_id in [f"p{number}" for number in range(chance.randint(0, 3))]:
        project = replace(PROJECT, id=project_id, name=project_id)
        project = replace(project, clone_state=often(CloneState.READY, chance.choice(list(CloneState))))
        project = replace(project, desired=often(DesiredState.RUNNING, DesiredState.REMOVED))
        world.projects[project_id] = replace(project, deleted_at=often(None, "then"))
        if chance.random() < 0.7:
            world.bases.add(project_id)
        elif chance.random() < 0.5:
            world.trash.add(project_id)
    for number in range(chance.randint(0, 5)):
        session_id, project_id = f"s{number}", f"p{chance.randint(0, 3)}"
        if chance.random() < 0.9:
            session = replace(SESSION, id=session_id, name=session_id, project_id=project_id)
            session = replace(session, container_id=chance.choice(["", f"c{number}", f"d{number}", "elsewhere"]))
            session = replace(
                session, state=chance.choice(list(SessionState)), desired=chance.choice(list(DesiredState))
            )
            reason = chance.choice([None, UNREACHABLE.error_reason, FAILED.error_reason])
            world.sessions[session_id] = replace(session, error_reason=reason, deleted_at=often(None, "then"))
        if chance.random() < 0.7:
            world.clones[session_id] = project_id
        elif chance.random() < 0.5:
            world.trash.add(session_id)
        if chance.random() < 0.3:
            world.partials.add(Path(f"/d/projects/{project_id}/sessions/{session_id}.partial-{number}"))
        for container_id in chance.sample([f"c{number}", f"d{number}"], chance.randint(0, 2)):
            status = chance.choice(["created", "running", "paused", "exited", "dead"])
            code = chance.choice([0, 1, 137]) if status in {"exited", "dead"} else None
            seen = ContainerState(container_id, session_id, project_id, status, code, oom_killed=code == 137)
            world.containers[container_id] = seen
    return world


@pytest.mark.parametrize("seed", range(20))
def test_carried_out_once_it_leaves_nothing_to_do(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        world = some_world(chance)
        kept = {key for key in {*world.clones, *world.trash} if key in world.sessions}
        taken: list[tuple[StepKind, str]] = []
        while due := world.plan():
            for step in due:
                assert (step.act, step.subject) not in taken, step
                taken.append((step.act, step.subject))
                world.take(step)
        lost = kept - world.clones.keys() - world.trash
        assert all(world.sessions[key].project_id in {p for _, p in taken} for key in lost)  # went with its project
        for session in world.sessions.values():
            own = [seen for seen in world.containers.values() if seen.session_id == session.id]
            assert len(own) <= (session.deleted_at is None)
