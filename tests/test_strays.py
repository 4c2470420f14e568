"""Orphaned clones and containers: reported, and adopted or removed only when the user asks for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import SOURCE, Rig, build
from on_screen import shown
from test_runtimes import FakeProcesses

from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.events import OrphansFound
from relay_tui.domain.models import CloneState, DesiredState, Project, Session, SessionState
from relay_tui.ports.task import TaskContext
from relay_tui.services.reconcile.orphans import OrphanResult
from relay_tui.services.reconcile.planner import StepKind
from relay_tui.services.runtime_router import PROCESS
from relay_tui.services.sessions.drafts import NewSession


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return build(tmp_path / "data")


@pytest.fixture
def project(rig: Rig) -> Project:
    """A project whose first session runs."""
    return rig.ready()


def forget(rig: Rig, *ids: str) -> None:
    """Remove the records, as if another store had replaced relay's."""
    with rig.relay.store.transaction() as change:
        for record_id in ids:
            change.drop(record_id)


def unknown(rig: Rig) -> list[tuple[StepKind, str]]:
    return [(step.act, step.subject) for step in rig.relay.reconciler.plan()]


def adopt(rig: Rig) -> Sequence[OrphanResult]:
    return rig.relay.orphans.adopt(rig.relay.reconciler.plan())


def errors(settled: Sequence[OrphanResult]) -> list[str]:
    return [one.error.title for one in settled if one.error is not None]


@pytest.mark.parametrize("runs", [True, False])
def test_a_clone_is_adopted_with_its_container_as_it_is(rig: Rig, project: Project, runs: bool) -> None:
    lost = rig.running(project, name="lost", branch="dev")
    if not runs:
        rig.relay.sessions.stop(lost.id, TaskContext())
    forget(rig, lost.id)
    assert [act for act, _ in unknown(rig)] == [StepKind.UNKNOWN_CONTAINER, StepKind.UNKNOWN_DIRECTORY]
    assert errors(adopt(rig)) == []
    rig.relay.reconciler.carry_out_all(TaskContext())  # notes how its container ended
    assert unknown(rig) == []
    found = rig.session(lost.id)
    assert (found.branch, found.container_id) == ("dev", lost.container_id)
    assert found.desired is (DesiredState.RUNNING if runs else DesiredState.STOPPED)
    assert rig.engine.of(found).status == ("running" if runs else "exited")
    assert rig.relay.sessions.start(lost.id, TaskContext()).state is SessionState.RUNNING


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("engine", [True, False])
def test_a_process_is_adopted_as_isolated_as_it_is(tmp_path: Path, isolated: bool, engine: bool) -> None:
    processes = FakeProcesses(works=isolated)
    processes.agree()
    rig = build(tmp_path / "data", processes=processes)
    project = rig.ready()
    wanted = NewSession(project=project.id, name="lost", branch="dev", runtime=PROCESS)
    lost = rig.relay.sessions.build(rig.relay.sessions.register(wanted).id, TaskContext())
    forget(rig, lost.id)
    if not engine:
        rig.engine.go_down()
    assert errors(adopt(rig)) == []
    found = rig.session(lost.id)
    assert (found.runtime, found.container_id) == (PROCESS, f"process-{lost.id}")
    assert (found.isolated, found.state) == (isolated, SessionState.RUNNING)
    assert any("not isolated" in note for note in found.notes) is not isolated


def test_a_clone_that_cannot_be_read_is_adopted_all_the_same(rig: Rig, project: Project) -> None:
    lost = rig.running(project, name="lost", branch="dev")
    rig.relay.runtime.remove(lost.container_id)
    forget(rig, lost.id)
    rig.git.failures["branch_of"] = UnknownStateError("Nothing can be said of it", "HEAD is a FIFO")
    assert errors(adopt(rig)) == []
    assert rig.session(lost.id).branch == project.default_branch
    assert rig.session(lost.id).state is SessionState.STOPPED


def test_a_project_is_adopted_before_its_sessions(rig: Rig, project: Project) -> None:
    sessions = [session.id for session in rig.live(project)]
    forget(rig, project.id, *sessions)
    assert errors(adopt(rig)) == []
    found = rig.project(project.id)
    assert (found.name, found.source, found.clone_state) == ("alpha", SOURCE, CloneState.READY)
    assert found.default_branch == "main"
    assert [session.id for session in rig.live(found)] == sessions
    assert unknown(rig) == []


def test_a_removed_session_whose_clone_is_back_comes_back(rig: Rig, project: Project) -> None:
    gone = rig.running(project, name="gone")
    kept = rig.root / "kept"
    shutil.copytree(gone.work_dir, kept)
    rig.relay.sessions.remove(gone.id, TaskContext())
    kept.rename(gone.work_dir)
    assert unknown(rig) == [(StepKind.UNKNOWN_DIRECTORY, gone.id)]
    assert errors(adopt(rig)) == []
    assert rig.session(gone.id).state is SessionState.RUNNING


def test_what_cannot_be_adopted_stays_and_says_why(rig: Rig, project: Project) -> None:
    alone = rig.running(project, name="alone")
    shutil.rmtree(alone.work_dir)
    forget(rig, alone.id)
    odd = Path(alone.work_dir).parent / "odd name"
    (odd / ".git").mkdir(parents=True)
    orphan = rig.root / "projects" / "nobody" / "sessions" / "orphan"
    (orphan / ".git").mkdir(parents=True)
    before = unknown(rig)
    assert len(before) == 3
    assert sorted(errors(adopt(rig))) == [
        "'odd name' cannot be an id",
        "A container without a clone cannot be adopted",
        "The session's project has no record",
    ]
    assert unknown(rig) == before


def test_it_is_announced_once(rig: Rig, project: Project) -> None:
    rig.relay.reconcile()
    lost: Session = rig.running(project, name="lost")
    forget(rig, lost.id)
    rig.relay.reconcile()
    rig.relay.reconcile()
    (found,) = [event for event in rig.events if isinstance(event, OrphansFound)]
    assert len(found.words) == 2


async def test_on_the_screen_a_person_decides(rig: Rig, project: Project) -> None:
    lost = rig.running(project, name="lost")
    forget(rig, lost.id)
    async with shown(rig) as screen:
        await screen.sees("Found 2 orphaned clones or containers. Press U to review.")
        await screen.press("U")
        await screen.sees(f"the clone {project.id}/{lost.id} has no record")
        await screen.press("enter")  # leaves them
        assert lost.id not in rig.relay.store.read().sessions
        await screen.press("U", "a")
        await screen.until(lambda: lost.id in rig.relay.store.read().sessions)
        await screen.until(lambda: not screen.main.state.strays)
        await screen.press("U")
        await screen.sees("No orphaned clones or containers.")
