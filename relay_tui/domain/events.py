"""What services announce. Past tense, frozen, and free of any widget."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from relay_tui.domain.errors import Fault
    from relay_tui.domain.transfers import PushPlan, PushResult, UpdateResult


class RecordsChanged(NamedTuple):
    """Rows in the store are not what they were."""


@dataclass(frozen=True, slots=True)
class Job:
    """A long piece of work. `subject` is the id of the project or session it is about.

    `fraction` is 0..1, or None when nobody knows; `detail` is short and changes fast (bytes, throughput).
    """

    id: str
    subject: str
    title: str
    stage: str = ""
    fraction: float | None = None
    detail: str = ""
    cancellable: bool = False


class JobProgressed(NamedTuple):
    """A job began or moved on."""

    job: Job


class JobEnded(NamedTuple):
    """A job is over; `fault` says why if it failed, `cancelled` that someone asked for it."""

    job: Job
    fault: Fault | None = None
    cancelled: bool = False


class SessionRemoved(NamedTuple):
    """A project or session was removed, and can be brought back. `warning`: the trash takes too much of the disk."""

    name: str
    warning: str = ""


class OrphansFound(NamedTuple):
    """There are clones or containers that no record knows; `words` tell each."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether the engine answers. `words` is its version and address, or why it does not answer."""

    state: str  # "connecting", "up" or "down"
    words: str = ""
    hint: str = ""


class EngineStatusChanged(NamedTuple):
    """The engine came, went, or is being looked for."""

    status: EngineStatus


class ContainerChanged(NamedTuple):
    """A session's container started, ended, or did something else; its row may say the same as before."""

    session_id: str


class FactsChanged(NamedTuple):
    """Something else is known of what is in a session's clone."""

    session_id: str


class ProjectFetched(NamedTuple):
    """A project's base is up to date with its upstream. `changed` has a line for each branch that moved."""

    project_id: str
    changed: tuple[str, ...] = ()


class PushPlanned(NamedTuple):
    """It is known what a push would send: someone is to say whether it goes."""

    session_id: str
    plan: PushPlan


class WorkPushed(NamedTuple):
    """A session's commits went to the upstream."""

    session_id: str
    pushed: PushResult


class SessionUpdated(NamedTuple):
    """A session has its base branch's newest commits."""

    session_id: str
    updated: UpdateResult


class WorkSaved(NamedTuple):
    """A session's commits and stashes are safe; `words` say where."""

    session_id: str
    words: str


Event = (
    RecordsChanged
    | JobProgressed
    | JobEnded
    | SessionRemoved
    | OrphansFound
    | EngineStatusChanged
    | ContainerChanged
    | FactsChanged
    | ProjectFetched
    | PushPlanned
    | WorkPushed
    | SessionUpdated
    | WorkSaved
)


class EventBus:
    """Hands each event to every listener, in the thread that publishes it."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._lock = threading.Lock()

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` for every event from now on, until the returned function is called."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Announce `event`."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(event)
