"""Engine monitor: the rows follow an engine that stops and returns, and containers that end, vanish and start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Rig, build
from waiting import wait_until

from relay_tui.domain.errors import EngineError, FileSystemError
from relay_tui.domain.events import EngineStatus
from relay_tui.domain.models import DesiredState, Project, Session, SessionState
from relay_tui.ports.task import TaskContext
from relay_tui.services.reconcile import runtime_monitor

UP = EngineStatus("up", "Fake 1.0 at unix:///fake.sock")


class Clock(threading.Event):
    """An event that does not wait, but notes how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Hardly."""
        self.waited.append(timeout or 0.0)
        return super().wait(0.005)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Return a relay that does not watch the engine yet."""
    monkeypatch.setattr(runtime_monitor, "BACKOFF", (0.01, 0.02, 0.05))
    rig = build(tmp_path / "data")
    yield rig
    rig.relay.engine.close()


@pytest.fixture
def project(rig: Rig) -> Project:
    """A project with one running session."""
    return rig.ready()


def watch(rig: Rig) -> None:
    """Begin, and wait until the engine is known to be up."""
    rig.relay.engine.start()
    wait_until(lambda: rig.relay.engine.status == UP)


def until_said(rig: Rig, session: Session, state: SessionState, title: str = "") -> Session:
    """Wait until the session's row shows that state and title."""

    def says() -> bool:
        row = rig.session(session.id)
        return row.state is state and title in (row.error_reason.title if row.error_reason else "")

    wait_until(says, what=f"{state} {title}")
    return rig.session(session.id)


def test_down_is_said_with_what_to_do_and_it_reconnects_by_itself(rig: Rig) -> None:
    rig.engine.go_down()
    rig.relay.engine.start()
    wait_until(lambda: rig.relay.engine.status.state == "down")
    down = EngineStatus("down", "dial unix: connection refused", "Start it.")
    assert rig.relay.engine.status == down
    rig.engine.come_back()
    wait_until(lambda: rig.relay.engine.status == UP)
    rig.engine.go_down()
    wait_until(lambda: rig.relay.engine.status == down)
    rig.engine.come_back()
    wait_until(lambda: rig.relay.engine.status == UP)
    assert rig.statuses() == [down, UP, down, UP]


def test_a_connection_that_only_blinked_is_not_announced(rig: Rig) -> None:
    watch(rig)
    rig.engine.go_down()
    rig.engine.come_back()
    wait_until(lambda: rig.engine.calls.count("events") == 2)
    wait_until(lambda: rig.engine.calls[-1] != "ping")
    assert rig.statuses() == [UP]


def test_it_waits_longer_after_each_attempt_and_briefly_again_after_a_success(rig: Rig) -> None:
    clock = Clock()
    rig.relay.engine._closed = clock
    rig.engine.go_down()
    rig.relay.engine.start()
    wait_until(lambda: len(clock.waited) >= 5)
    assert clock.waited[:5] == [0.01, 0.02, 0.05, 0.05, 0.05]
    rig.engine.come_back()
    wait_until(lambda: rig.relay.engine.status == UP)
    before = len(clock.waited)
    rig.engine.go_down()
    wait_until(lambda: len(clock.waited) > before)
    assert clock.waited[before] == 0.01


def test_a_container_that_ends_leaves_its_code_and_last_words(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    watch(rig)
    rig.engine.of(session).say(b"panic: nothing left to do\n")
    rig.engine.end(session, 3)
    row = until_said(rig, session, SessionState.ERROR, "exit code 3")
    assert row.exit_code == 3
    assert row.error_reason is not None
    assert "panic: nothing left" in row.error_reason.detail


def test_running_out_of_memory_is_called_that(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    watch(rig)
    rig.engine.end(session, 137, oom_killed=True)
    assert "memory" in (until_said(rig, session, SessionState.ERROR, "out of memory").error_reason or UP).hint


def test_what_another_tool_removes_or_starts_is_seen(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    rig.relay.sessions.stop(session.id, TaskContext())
    watch(rig)
    rig.engine.revive(session)
    until_said(rig, session, SessionState.RUNNING)
    rig.put(replace(rig.session(session.id), desired=DesiredState.RUNNING))
    rig.engine.lose(session)
    row = until_said(rig, session, SessionState.ERROR, "gone")
    assert row.error_reason is not None
    assert "{retry}" in row.error_reason.hint


def test_what_happened_while_nobody_watched_is_found_at_the_start(rig: Rig, project: Project) -> None:
    ended, vanished, stays = rig.live(project)[0], rig.running(project), rig.running(project)
    rig.engine.end(ended, 1)
    rig.engine.lose(vanished)
    watch(rig)
    until_said(rig, ended, SessionState.ERROR, "exit code 1")
    until_said(rig, vanished, SessionState.ERROR, "gone")
    assert rig.session(stays.id) == stays


def test_a_row_that_someone_works_on_is_left_alone(rig: Rig, project: Project) -> None:
    (session,) = rig.live(project)
    other = rig.running(project)
    watch(rig)
    with rig.locks.hold(session.id, "relay session restart"):
        rig.engine.end(session, 1)
        rig.engine.end(other, 1)
        until_said(rig, other, SessionState.ERROR, "exit code 1")  # so the first one was looked at before
        assert rig.session(session.id) == session
    rig.engine.tell(session.id)
    until_said(rig, session, SessionState.ERROR, "exit code 1")


def test_a_removal_that_failed_keeps_saying_why_when_the_engine_is_back(rig: Rig, project: Project) -> None:
    session = rig.running(project)
    rig.engine.failures["remove"] = EngineError("The container cannot be removed", "device or resource busy")
    with pytest.raises(EngineError):
        rig.relay.sessions.remove(session.id, TaskContext())
    watch(rig)
    reason = rig.session(session.id).error_reason
    assert reason is not None
    assert reason.title == "The container cannot be removed"


def test_a_stop_that_comes_while_the_watch_looks_is_not_called_a_failure(
    rig: Rig, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session,) = rig.live(project)
    watch(rig)
    inspect = rig.engine.inspect
    looks: list[str] = []
    stopped = threading.Event()

    def slowly(container_id: str) -> object:
        looks.append(container_id)
        if len(looks) == 1:
            rig.relay.sessions.stop(session.id, TaskContext())
            stopped.set()
        return inspect(container_id)

    monkeypatch.setattr(rig.engine, "inspect", slowly)
    rig.engine.tell(session.id)
    wait_until(stopped.is_set)
    other = rig.running(project)
    rig.engine.end(other, 9)
    until_said(rig, other, SessionState.ERROR, "exit code 9")
    row = rig.session(session.id)
    assert (row.state, row.error_reason) == (SessionState.STOPPED, None)


def test_a_store_that_cannot_be_written_does_not_end_the_watch(
    rig: Rig, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session,) = rig.live(project)
    rig.engine.end(session, 1)

    def full() -> None:
        raise FileSystemError("The disk is full", "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rig.relay.store, "transaction", full)
        rig.relay.engine.start()
        wait_until(lambda: rig.relay.engine.status == UP)  # it is not the engine that failed
        assert rig.session(session.id).state is SessionState.RUNNING
        shown = rig.relay.pending_updates.over(rig.relay.store.read()).sessions[session.id]
        assert shown.state is SessionState.ERROR  # the screen shows the real state even if the store cannot be written
    until_said(rig, session, SessionState.ERROR, "exit code 1")
    wait_until(lambda: rig.relay.pending_updates.fault is None)
