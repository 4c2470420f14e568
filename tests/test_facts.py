"""The facts of sessions are asked for in the background, a few at a time, and only when there is a reason."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Rig, build
from fakes_work import FakeLook, some_facts
from waiting import wait_until

from relay_tui.adapters.git.untrusted.files import read_error
from relay_tui.domain.changes import CloneStatus
from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.events import FactsChanged, Job, JobEnded, ProjectFetched, RecordsChanged
from relay_tui.domain.models import Session, SessionState
from relay_tui.ports.inspector import SessionClone
from relay_tui.services.clone_status import AT_ONCE, LONG_REST, REST, CloneStatusService
from relay_tui.services.sessions.repository import SessionRepository


class CountingLook(FakeLook):
    """Notes who is looked at, and how many at once; waits at the gate while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.seen: list[str] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def facts(self, clone: SessionClone) -> CloneStatus:
        """Through the gate."""
        with self._lock:
            self.seen.append(clone.session_id)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            assert self.gate.wait(20)
            return super().facts(clone)
        finally:
            with self._lock:
                self._now -= 1


class Looked:
    """SessionFacts over a rig with three sessions, a fixed clock and a look that counts its calls."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        project = rig.ready()
        self.sessions = [*rig.live(project), rig.running(project, name="fox"), rig.running(project, name="owl")]
        self.now = 1000.0
        self.look = CountingLook()
        self.facts = CloneStatusService(
            repository=SessionRepository(rig.relay.store, rig.relay.bus, rig.relay.data_dir),
            files=rig.files,
            inspector=self.look,
            bus=rig.relay.bus,
            clock=lambda: self.now,
        )

    @property
    def ids(self) -> list[str]:
        """The sessions' ids, the oldest first."""
        return [session.id for session in self.sessions]

    def told(self, session: Session) -> int:
        """Return the number of change events of a session."""
        return self.rig.events.count(FactsChanged(session.id))

    def wait_for(self, count: int) -> None:
        """Wait until `count` looks have started and ended."""
        wait_until(lambda: len(self.look.seen) == count and self.idle(), what=f"{count} looks, not {self.look.seen}")

    def idle(self) -> bool:
        """Return whether the status of every session looked at is up to date."""
        return all(self.facts.known(i) is not None for i in self.look.seen) and not self.facts._running


@pytest.fixture
def looked(tmp_path: Path) -> Looked:
    """Return a SessionFacts bench, closed at the end so that no thread remains."""
    return Looked(build(tmp_path))


def test_what_is_asked_for_is_told_once(looked: Looked) -> None:
    first = looked.sessions[0]
    assert looked.facts.known(first.id) is None
    looked.facts.request(first.id)
    looked.wait_for(1)
    known = looked.facts.known(first.id)
    assert known is not None and known.facts == some_facts(first.branch)
    looked.facts.request(first.id)
    looked.wait_for(2)
    assert looked.told(first) == 1
    looked.look.of(first.id).facts = some_facts(first.branch, untracked=3)
    looked.facts.request(first.id)
    wait_until(lambda: looked.told(first) == 2)
    looked.facts.close()


def test_unknown_is_kept_with_its_reason(looked: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_clone: SessionClone) -> CloneStatus:
        raise read_error(".git/HEAD is a pipe.")

    monkeypatch.setattr(looked.look, "facts", refuse)
    first = looked.sessions[0]
    looked.facts.request(first.id)
    wait_until(lambda: looked.told(first) == 1)
    known = looked.facts.known(first.id)
    assert known is not None and known.facts is None and known.fault is not None
    assert (known.fault.kind, known.fault.detail) == ("unknown", ".git/HEAD is a pipe.")
    with pytest.raises(UnknownStateError):
        looked.facts.read_status(first.id)
    looked.facts.close()


def test_a_few_at_a_time_and_never_twice_for_the_same_reason(looked: Looked) -> None:
    looked.look.gate.clear()
    looked.facts.show(looked.ids)
    wait_until(lambda: len(looked.look.seen) == AT_ONCE)
    for _ in range(5):
        looked.facts.request(looked.ids[2])
    assert len(looked.look.seen) == AT_ONCE
    looked.look.gate.set()
    looked.wait_for(3)
    assert looked.look.most == AT_ONCE
    assert sorted(looked.look.seen) == sorted(looked.ids)
    looked.facts.close()


def test_only_what_is_visible_is_looked_at_again_and_only_when_old(looked: Looked) -> None:
    looked.facts.show(looked.ids[:1])
    looked.wait_for(1)
    looked.now += REST - 1
    looked.facts.show(looked.ids[:1])
    looked.facts.request(looked.ids[1])
    looked.wait_for(2)
    looked.now += 2
    looked.facts.show(looked.ids[:1])
    looked.wait_for(3)
    assert looked.look.seen == [looked.ids[0], looked.ids[1], looked.ids[0]]
    looked.facts.close()


def test_what_does_not_run_is_looked_at_less_often(looked: Looked) -> None:
    resting = looked.sessions[0]
    looked.rig.put(replace(resting, state=SessionState.STOPPED))
    looked.facts.show(looked.ids[:2])
    looked.wait_for(2)
    looked.now += REST + 1
    looked.facts.show(looked.ids[:2])
    looked.wait_for(3)
    assert looked.look.seen.count(resting.id) == 1
    looked.now += LONG_REST
    looked.facts.show(looked.ids[:2])
    looked.wait_for(5)
    assert looked.look.seen.count(resting.id) == 2
    looked.facts.close()


def test_what_may_have_changed_is_looked_at_again(looked: Looked) -> None:
    bus = looked.rig.relay.bus
    looked.facts.show(looked.ids[:2])
    looked.wait_for(2)
    bus.publish(JobEnded(Job("1", looked.ids[0], "Pushing")))
    looked.wait_for(3)
    bus.publish(JobEnded(Job("1", looked.ids[2], "Pushing")))  # not on screen
    bus.publish(RecordsChanged())  # nothing did
    session = looked.rig.session(looked.ids[1])
    looked.rig.put(replace(session, state=SessionState.STOPPED))
    bus.publish(RecordsChanged())
    looked.wait_for(4)
    assert looked.look.seen[3] == looked.ids[1]
    bus.publish(ProjectFetched(session.project_id))
    looked.wait_for(6)
    looked.facts.close()


def test_what_came_while_it_was_looked_at_is_not_missed(looked: Looked) -> None:
    first = looked.ids[0]
    looked.look.gate.clear()
    looked.facts.request(first)
    wait_until(lambda: looked.look.seen == [first])
    looked.facts.request(first)
    looked.facts.request(first)
    looked.look.gate.set()
    looked.wait_for(2)
    looked.facts.close()


def test_session_without_a_clone_says_so(looked: Looked) -> None:
    project = looked.rig.project(looked.sessions[0].project_id)
    drafted = looked.rig.drafted(project, name="new")
    looked.facts.request(drafted.id)
    wait_until(lambda: looked.told(drafted) == 1)
    known = looked.facts.known(drafted.id)
    assert known is not None and known.fault is not None and known.fault.kind == "not-found"
    assert looked.look.seen == []
    looked.facts.close()
