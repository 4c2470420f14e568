"""The plan: what each difference between records, directories and containers comes to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from relay_tui.errors import Fault
from relay_tui.model import CloneState, Desired, Project, Records, Session, SessionState
from relay_tui.services.plan import Act, plan
from relay_tui.services.ports import Disk, Observed

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
RUNNING = Observed("c", "s", "p", "running")
DISK = Disk(frozenset({"p"}), MappingProxyType({"s": "p"}))


def records(*rows: Project | Session) -> Records:
    return Records(
        MappingProxyType({row.id: row for row in rows if isinstance(row, Project)}),
        MappingProxyType({row.id: row for row in rows if isinstance(row, Session)}),
    )


def acts(
    *rows: Project | Session,
    disk: Disk = DISK,
    containers: list[Observed] | None = None,
    engine: bool = True,
    busy: frozenset[str] = frozenset(),
) -> list[tuple[Act, str]]:
    seen = ([RUNNING] if containers is None else containers) if engine else None
    return [(step.act, step.subject) for step in plan(records(*rows), disk, seen, busy)]


def test_nothing_to_do() -> None:
    assert acts(PROJECT, SESSION) == []
    assert acts() == [] or acts(disk=Disk(), containers=[]) == []


CUT = replace(SESSION, state=SessionState.STARTING, container_id="")
NO_CLONE = replace(DISK, clones=MappingProxyType({}))
STOPPED = replace(SESSION, desired=Desired.STOPPED, state=SessionState.STOPPED)
LEAVING = replace(SESSION, desired=Desired.REMOVED, state=SessionState.REMOVING)
GONE = replace(SESSION, desired=Desired.REMOVED, deleted_at="2026-01-01T00:00:00Z", container_id="")
UNREACHABLE = replace(SESSION, state=SessionState.ERROR, error_reason=Fault("engine-unreachable", "The engine is away"))


@pytest.mark.parametrize(
    ("session", "disk", "containers", "expected"),
    [
        pytest.param(CUT, NO_CLONE, [], [(Act.BUILD, "s")], id="record without clone"),
        pytest.param(CUT, DISK, [], [(Act.BUILD, "s")], id="clone without container"),
        pytest.param(
            CUT,
            replace(NO_CLONE, partials=(Path("/d/projects/p/sessions/s.partial-1"),)),
            [],
            [(Act.BUILD, "s"), (Act.CLEAR_PARTIAL, "/d/projects/p/sessions/s.partial-1")],
            id="clone half made",
        ),
        pytest.param(
            CUT, DISK, [RUNNING], [(Act.ADOPT_CONTAINER, "s"), (Act.BUILD, "s")], id="container not yet on record"
        ),
        pytest.param(
            CUT,
            DISK,
            [replace(RUNNING, status="created")],
            [(Act.REMOVE_CONTAINER, "c"), (Act.BUILD, "s")],
            id="container perhaps half made",
        ),
        pytest.param(SESSION, DISK, [], [(Act.NOTE, "s")], id="container gone"),
        pytest.param(SESSION, DISK, [replace(RUNNING, status="paused")], [(Act.NOTE, "s")], id="paused"),
        pytest.param(
            SESSION, DISK, [replace(RUNNING, status="exited", exit_code=137)], [(Act.NOTE, "s")], id="stopped by others"
        ),
        pytest.param(
            SESSION,
            DISK,
            [replace(RUNNING, status="exited", exit_code=137, oom_killed=True)],
            [(Act.NOTE, "s")],
            id="out of memory",
        ),
        pytest.param(STOPPED, DISK, [RUNNING], [(Act.STOP, "s")], id="running though to be stopped"),
        pytest.param(
            SESSION,
            DISK,
            [RUNNING, replace(RUNNING, container_id="d")],
            [(Act.REMOVE_CONTAINER, "d")],
            id="two containers",
        ),
        pytest.param(SESSION, NO_CLONE, [RUNNING], [(Act.NOTE, "s")], id="clone gone"),
        pytest.param(LEAVING, DISK, [RUNNING], [(Act.FINISH_REMOVAL, "s"), (Act.FIRST_SESSION, "p")], id="removal cut"),
        pytest.param(UNREACHABLE, DISK, [RUNNING], [(Act.BUILD, "s")], id="the engine is back"),
    ],
)
def test_sessions(session: Session, disk: Disk, containers: list[Observed], expected: list[tuple[Act, str]]) -> None:
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
        assert acts(replace(PROJECT, clone_state=state), disk=Disk(), containers=[]) == [(Act.FINISH_CLONE, "p")]
    assert acts(PROJECT, disk=Disk(frozenset({"p"})), containers=[]) == [(Act.FIRST_SESSION, "p")]
    leaving = replace(PROJECT, desired=Desired.REMOVED)
    assert acts(leaving, LEAVING) == [(Act.FINISH_PROJECT_REMOVAL, "p")]
    assert acts(PROJECT, SESSION, disk=replace(DISK, bases=frozenset())) == [(Act.BASE_GONE, "p")]
    trashed = replace(DISK, bases=frozenset(), trash=frozenset({"p"}))
    assert acts(PROJECT, SESSION, disk=trashed) == [(Act.BRING_BACK, "p")]
    failed = replace(PROJECT, clone_state=CloneState.ERROR)
    assert acts(failed, disk=Disk(), containers=[]) == []  # that is for a person to retry


def test_what_nobody_knows_is_only_asked_about() -> None:
    other = Observed("x", "who", "p", "running")
    assert acts(PROJECT, SESSION, containers=[RUNNING, other]) == [(Act.UNKNOWN_CONTAINER, "x")]
    strange = replace(DISK, clones=MappingProxyType({"s": "p", "who": "p"}))
    assert acts(PROJECT, SESSION, disk=strange) == [(Act.UNKNOWN_DIRECTORY, "who")]
    assert acts(PROJECT, SESSION, disk=replace(DISK, bases=frozenset({"p", "q"}))) == [(Act.UNKNOWN_DIRECTORY, "q")]


def test_the_container_of_a_removed_session_goes() -> None:
    left = Observed("g", "gone", "p", "running")
    assert acts(PROJECT, SESSION, replace(GONE, id="gone"), containers=[RUNNING, left]) == [(Act.REMOVE_CONTAINER, "g")]


def test_without_an_engine_nothing_is_concluded_from_absence() -> None:
    assert acts(PROJECT, SESSION, engine=False) == []
    assert acts(PROJECT, STOPPED, engine=False) == []
    assert acts(PROJECT, UNREACHABLE, engine=False) == []
    assert acts(PROJECT, CUT, engine=False) == [(Act.BUILD, "s")]  # its clone can be made


@pytest.mark.parametrize("busy", ["s", "p"])
def test_what_someone_is_at_work_on_is_left_alone(busy: str) -> None:
    partial = replace(NO_CLONE, partials=(Path("/d/projects/p/sessions/s.partial-1"),))
    steps = acts(PROJECT, CUT, disk=partial, containers=[], busy=frozenset({busy}))
    assert steps == []
