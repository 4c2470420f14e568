"""A relay killed at any call through a port is one whose next run finishes the job, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from crash_harness import KILLED, MARKER, Rig, check, in_child, reset, rig
from git_servers import make_repository

from relay_tui.services import names
from relay_tui.services.projects import NewProject
from relay_tui.services.sessions import NewSession
from relay_tui.services.watch import Watch

Operation = Callable[[Rig, Path], object]


def add_project(at: Rig, source: Path) -> None:
    project = at.projects.register(NewProject(source=str(source), name="second"))
    at.sessions.build(at.projects.clone(project.id, Watch()).id, Watch())


def create(at: Rig, _: Path) -> None:
    project = names.find_project(at.store.read(), "first")
    session = at.sessions.register(NewSession(project=project.id, new_branch="topic"))
    at.sessions.build(session.id, Watch())


def stop(at: Rig, _: Path) -> None:
    at.sessions.stop(names.find_session(at.store.read(), "running").id, Watch())


def start(at: Rig, _: Path) -> None:
    at.sessions.start(names.find_session(at.store.read(), "stopped").id, Watch())


def restart(at: Rig, _: Path) -> None:
    at.sessions.restart(names.find_session(at.store.read(), "running").id, Watch())


def remove(at: Rig, _: Path) -> None:
    at.sessions.remove(names.find_session(at.store.read(), "running").id, Watch())


def restore(at: Rig, _: Path) -> None:
    at.sessions.build(at.sessions.restore(names.find_removed(at.store.read(), "gone").id).id, Watch())


def purge(at: Rig, _: Path) -> None:
    at.trash.purge(0, Watch())


def remove_project(at: Rig, _: Path) -> None:
    at.projects.remove(names.find_project(at.store.read(), "first").id, Watch())


def restore_project(at: Rig, _: Path) -> None:
    for session in at.projects.restore(names.find_removed_project(at.store.read(), "removed").id):
        at.sessions.build(session.id, Watch())


OPERATIONS: list[Operation] = [
    add_project,
    create,
    stop,
    start,
    restart,
    remove,
    restore,
    purge,
    remove_project,
    restore_project,
]


def killed(operation: Operation, root: Path, source: Path, burn_at: int) -> None:
    """Begin the operation, and die at that call."""
    operation(rig(root, burn_at=burn_at), source)


def people(at: Rig, source: Path) -> None:
    """Two projects, one of them removed; sessions that run, are stopped, are removed; each with unsaved work."""
    for project_name in ("first", "removed"):
        project = at.projects.register(NewProject(source=str(source), name=project_name))
        at.projects.clone(project.id, Watch())
        first = at.store.read().live_sessions(project.id)[0]
        at.sessions.build(first.id, Watch())
        (Path(first.work_dir) / MARKER).write_text(f"{project_name} main")
        if project_name == "removed":
            at.projects.remove(project.id, Watch())
            return
        for name in ("running", "stopped", "gone"):
            session = at.sessions.register(NewSession(project=project.id, name=name))
            at.sessions.build(session.id, Watch())
            (Path(session.work_dir) / MARKER).write_text(name)
        at.sessions.stop(names.find_session(at.store.read(), "stopped").id, Watch())
        at.sessions.remove(names.find_session(at.store.read(), "gone").id, Watch())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The source, a peopled data dir to copy, and the place it has to be copied to (records hold its path)."""
    top = tmp_path_factory.mktemp("crash")
    source = make_repository(top / "source", files={"README": "hello"})
    root = top / "data"
    assert in_child(lambda: people(rig(root), source)) == 0
    kept = top / "template"
    root.rename(kept)
    return source, kept, root


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_killed_at_every_call(operation: Operation, template: tuple[Path, Path, Path]) -> None:
    source, kept, root = template
    markers = ["first main", "running", "stopped"] + (["gone", "removed main"] if operation is not purge else [])
    crashes = 0
    while True:
        reset(kept, root)
        ended = in_child(partial(killed, operation, root, source, crashes + 1))
        assert ended in {0, KILLED}, f"at call {crashes + 1}"
        assert in_child(lambda: check(root, markers)) == 0, f"killed at call {crashes + 1}"
        if ended == 0:
            break
        crashes += 1
    assert crashes > 5
    print(f"\n{operation.__name__}: killed at each of {crashes} calls, survived {crashes}, lost nothing")  # noqa: T201
