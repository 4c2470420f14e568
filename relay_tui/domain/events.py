"""Events that services publish. Named in the past tense, frozen, independent of widgets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from relay_tui.domain.errors import Fault
    from relay_tui.domain.transfers import PushPlan, PushResult, UpdateResult


class RecordsChanged(NamedTuple):
    """Rows in the store changed."""


@dataclass(frozen=True, slots=True)
class Job:
    """Long-running job. `subject` is the id of its project or session.

    `fraction` is 0..1, or None if unknown; `detail` is short and changes fast (bytes, throughput).
    """

    id: str
    subject: str
    title: str
    stage: str = ""
    fraction: float | None = None
    detail: str = ""
    cancellable: bool = False


class JobProgressed(NamedTuple):
    """A job started or made progress."""

    job: Job


class JobEnded(NamedTuple):
    """A job ended. `fault` is set if it failed, `cancelled` if the user cancelled it."""

    job: Job
    fault: Fault | None = None
    cancelled: bool = False


class SessionRemoved(NamedTuple):
    """A project or session was removed and can be restored. `warning` is set if the trash uses too much of the disk."""

    name: str
    warning: str = ""


class OrphansFound(NamedTuple):
    """Orphaned clones or containers were found. `words` describes each."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """State of the engine. `words` is its version and address, or the reason why it does not answer."""

    state: str  # "connecting", "up" or "down"
    words: str = ""
    hint: str = ""


class EngineStatusChanged(NamedTuple):
    """The engine became available or unavailable, or relay is connecting to it."""

    status: EngineStatus


class ContainerChanged(NamedTuple):
    """A session's container started, ended or changed otherwise. The session's row may be unchanged."""

    session_id: str


class FactsChanged(NamedTuple):
    """The known status of a session's clone changed."""

    session_id: str


class ProjectFetched(NamedTuple):
    """A project's base clone was fetched. `changed` has one line for each branch that moved."""

    project_id: str
    changed: tuple[str, ...] = ()


class PushPlanned(NamedTuple):
    """A push was planned and waits for confirmation."""

    session_id: str
    plan: PushPlan


class WorkPushed(NamedTuple):
    """A session's commits were pushed to the upstream."""

    session_id: str
    pushed: PushResult


class SessionUpdated(NamedTuple):
    """A session was updated with upstream commits."""

    session_id: str
    updated: UpdateResult


class WorkSaved(NamedTuple):
    """A session's commits and stashes were saved. `words` says where."""

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
    """Event bus. Calls every listener in the thread that publishes the event."""

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
        """Pass `event` to every listener."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(event)
