"""Jobs: one for a subject, announced, cancelled, interrupted; and the watch that is handed to them."""

from __future__ import annotations

import threading

import pytest
from waiting import wait_until

from relay_tui.domain.errors import CancelledError, ConflictError, GitError
from relay_tui.domain.events import Event, EventBus, JobEnded, JobProgressed, RecordsChanged
from relay_tui.ports.task import TaskContext
from relay_tui.services.jobs import JobRunner


@pytest.fixture
def heard() -> list[Event]:
    """Return the list of published events."""
    return []


@pytest.fixture
def jobs(heard: list[Event]) -> JobRunner:
    """Jobs on a bus of their own."""
    bus = EventBus()
    bus.subscribe(heard.append)
    return JobRunner(bus)


def until_stopped(task: TaskContext) -> None:
    """Run until the task is cancelled."""
    stop = threading.Event()
    with task.on_cancel(stop.set):
        assert stop.wait(10)
    task.raise_if_cancelled()


def test_a_job_is_announced_from_beginning_to_end(jobs: JobRunner, heard: list[Event]) -> None:
    jobs.start("p1", "Cloning", lambda task: task.report("Receiving", 0.5, "1 MiB"))
    wait_until(lambda: any(isinstance(event, JobEnded) for event in heard))
    began, moved, ended = heard
    assert isinstance(began, JobProgressed)
    assert isinstance(moved, JobProgressed)
    assert isinstance(ended, JobEnded)
    assert (began.job.title, began.job.stage, moved.job.stage, moved.job.fraction) == ("Cloning", "", "Receiving", 0.5)
    assert moved.job.id == began.job.id == ended.job.id
    assert not jobs.running()


def test_one_at_a_time_for_a_subject(jobs: JobRunner) -> None:
    jobs.start("s1", "Creating main", until_stopped, cancellable=True)
    with pytest.raises(ConflictError, match="Still busy: Creating main"):
        jobs.start("s1", "Removing main", until_stopped)
    jobs.start("s2", "Creating dev", until_stopped, cancellable=True)
    assert set(jobs.running()) == {"s1", "s2"}
    assert jobs.cancel("s1")
    wait_until(lambda: set(jobs.running()) == {"s2"})
    jobs.start("s1", "Again", lambda _: None)
    jobs.quit(5)


def test_only_what_can_be_cancelled_is(jobs: JobRunner, heard: list[Event]) -> None:
    go_on = threading.Event()
    jobs.start("s1", "Removing", lambda _: go_on.wait(10))
    assert not jobs.cancel("s1")
    assert not jobs.cancel("nobody")
    go_on.set()
    wait_until(lambda: not jobs.running())
    wait_until(lambda: any(isinstance(event, JobEnded) for event in heard))
    assert [event.cancelled for event in heard if isinstance(event, JobEnded)] == [False]


def test_quitting_interrupts_everything_and_tells_why(jobs: JobRunner) -> None:
    told: list[bool] = []

    def work(task: TaskContext) -> None:
        try:
            until_stopped(task)
        except CancelledError:
            told.append(task.quitting)
            raise

    jobs.start("s1", "Creating", work, cancellable=True)
    jobs.start("s2", "Stopping", work)
    jobs.quit(5)
    assert told == [True, True]
    wait_until(lambda: not jobs.running())


def test_quitting_waits_no_longer_than_it_is_told_to(jobs: JobRunner) -> None:
    go_on = threading.Event()
    jobs.start("s1", "Deaf", lambda _: go_on.wait(10))
    jobs.quit(0.01)
    assert jobs.running()
    go_on.set()
    wait_until(lambda: not jobs.running())


def test_failures_and_bugs_are_told_apart(jobs: JobRunner, heard: list[Event]) -> None:
    def refuse(_: TaskContext) -> None:
        raise GitError("git failed", "fatal: x", "Try again.")

    def stumble(_: TaskContext) -> None:
        raise ZeroDivisionError("division by zero")

    jobs.start("p1", "Cloning", refuse)
    wait_until(lambda: len(heard) == 2)
    jobs.start("p1", "Cloning", stumble)
    wait_until(lambda: len(heard) == 4)
    faults = [event.fault for event in heard if isinstance(event, JobEnded)]
    assert [fault.kind if fault else "" for fault in faults] == ["git", "internal"]
    assert "ZeroDivisionError" in (faults[1].title if faults[1] else "")


def test_a_callback_hears_a_cancel_that_came_before_it() -> None:
    task = TaskContext()
    task.cancel()
    heard: list[str] = []
    with task.on_cancel(lambda: heard.append("at once")):
        assert heard == ["at once"]
    task.cancel()
    assert heard == ["at once"]


def test_who_unsubscribes_hears_no_more() -> None:
    bus, heard = EventBus(), list[Event]()
    leave = bus.subscribe(heard.append)
    leave()
    leave()
    bus.publish(RecordsChanged())
    assert heard == []
