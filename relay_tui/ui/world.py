"""What the screen draws: one immutable snapshot of everything, and the bridge that brings it from the services."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from textual.message import Message

from relay_tui.errors import Fault, RelayError
from relay_tui.events import (
    EngineStatus,
    Event,
    Job,
    JobEnded,
    ProjectFetched,
    PushPlanned,
    Removed,
    SessionUpdated,
    StraysFound,
    WorkPushed,
    WorkRescued,
)
from relay_tui.model import Project, Records, Session

if TYPE_CHECKING:
    from relay_tui.services.plan import Step
    from relay_tui.services.relay import Relay
    from relay_tui.work import Facts

WorkEvent = ProjectFetched | PushPlanned | WorkPushed | SessionUpdated | WorkRescued
"""What a person is told when it happens."""

BATCH = 0.05  # seconds that changes are gathered before the screen hears of them


@dataclass(frozen=True, slots=True)
class World:
    """Records, jobs and engine at one moment. `trouble` is why the records could not be read, if so."""

    records: Records = field(default_factory=Records)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    engine: EngineStatus = field(default_factory=lambda: EngineStatus("connecting"))
    trouble: Fault | None = None
    unsaved: Fault | None = None
    """Why nothing can be written; the records show what was observed all the same."""
    strays: tuple[Step, ...] = ()
    """Clones and containers that no record knows."""
    facts: Mapping[str, Facts | Fault] = field(default_factory=dict)
    """What is known of sessions' clones, or why nothing is."""
    processes: EngineStatus = field(default_factory=lambda: EngineStatus("connecting"))
    stirs: Mapping[str, int] = field(default_factory=dict)
    """By session id, how often something happened to its container."""

    def project(self, project_id: str | None) -> Project | None:
        """A live project."""
        found = self.records.projects.get(project_id or "")
        return found if found is not None and found.deleted_at is None else None

    def session(self, session_id: str | None) -> Session | None:
        """A live session."""
        found = self.records.sessions.get(session_id or "")
        return found if found is not None and found.deleted_at is None else None


class WorldChanged(Message):
    """There is a newer snapshot."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def can_replace(self, message: Message) -> bool:
        """Only the newest matters."""
        return isinstance(message, WorldChanged)


class JobFailed(Message):
    """A job ended with a fault; `on_row`: its row says so."""

    def __init__(self, job: Job, fault: Fault, *, on_row: bool) -> None:
        super().__init__()
        self.job = job
        self.fault = fault
        self.on_row = on_row


class RecordRemoved(Message):
    """A project or session was removed, and can be brought back."""

    def __init__(self, name: str, warning: str) -> None:
        super().__init__()
        self.name = name
        self.warning = warning


class Found(Message):
    """There are clones or containers that no record knows."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words


class Announced(Message):
    """Work went somewhere, or could."""

    def __init__(self, event: WorkEvent) -> None:
        super().__init__()
        self.event = event


class Warned(Message):
    """Something was wrong, and was mended: the store came back from its copy."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


def snapshot(relay: Relay) -> World:
    """Everything as it is now."""
    try:
        records, trouble = relay.unsaved.over(relay.store.read()), None
    except RelayError as error:
        records, trouble = Records(), error.fault
    return World(
        records,
        relay.jobs.running(),
        relay.engine.status,
        trouble,
        relay.unsaved.fault,
        relay.strays.found,
        _facts(relay, records),
        processes=relay.processes.status if relay.processes is not None else EngineStatus("connecting"),
        stirs={**relay.engine.stirs, **(relay.processes.stirs if relay.processes is not None else {})},
    )


def _facts(relay: Relay, records: Records) -> Mapping[str, Facts | Fault]:
    found: dict[str, Facts | Fault] = {}
    for session in records.live_sessions():
        known = relay.facts.known(session.id)
        value = known and (known.facts or known.fault)
        if value:
            found[session.id] = value
    return found


def _on_row(relay: Relay, subject: str, fault: Fault) -> bool:
    """Whether the row of a project or session says already what went wrong."""
    world = snapshot(relay)
    project, session = world.project(subject), world.session(subject)
    said = project.clone_error if project else session.error_reason if session else None
    return said is not None and said.title == fault.title


class Bridge:
    """The only one that posts to the screen from a thread. Gathers what is announced into snapshots."""

    def __init__(self, relay: Relay, post: Callable[[Message], object]) -> None:
        self._relay = relay
        self._post = post
        self._stirred = threading.Event()
        self._closed = threading.Event()
        self._unsubscribe = relay.bus.subscribe(self._hear)
        threading.Thread(target=self._carry, name="bridge", daemon=True).start()

    def _hear(self, event: Event) -> None:
        if isinstance(event, JobEnded) and event.fault is not None:
            on_row = _on_row(self._relay, event.job.subject, event.fault)
            self._post(JobFailed(event.job, event.fault, on_row=on_row))
        elif isinstance(event, Removed):
            self._post(RecordRemoved(event.name, event.warning))
        elif isinstance(event, StraysFound) and event.words:
            self._post(Found(event.words))
        elif isinstance(event, WorkEvent):
            self._post(Announced(event))
        self._stirred.set()

    def _carry(self) -> None:
        last: World | None = None
        warned = ""
        while not self._closed.is_set():
            self._stirred.wait()
            self._closed.wait(BATCH)
            self._stirred.clear()
            world = snapshot(self._relay)
            if world.trouble is not None and last is not None:
                world = replace(world, records=last.records)
            if world != last and not self._closed.is_set():
                last = world
                self._post(WorldChanged(world))
            warned, before = self._relay.store.warning(), warned
            if warned and warned != before and not self._closed.is_set():
                self._post(Warned(warned))

    def close(self) -> None:
        """Stop posting."""
        self._unsubscribe()
        self._closed.set()
        self._stirred.set()
