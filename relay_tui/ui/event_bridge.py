"""Bridge from service events to Textual messages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.message import Message

from relay_tui.domain.errors import Fault
from relay_tui.domain.events import (
    Event,
    Job,
    JobEnded,
    OrphansFound,
    ProjectFetched,
    PushPlanned,
    SessionRemoved,
    SessionUpdated,
    WorkPushed,
    WorkSaved,
)
from relay_tui.ui.state import AppState, build_state

if TYPE_CHECKING:
    from relay_tui.services.relay import Relay


WorkEvent = ProjectFetched | PushPlanned | WorkPushed | SessionUpdated | WorkSaved
"""Events that the user is notified of."""


BATCH = 0.05  # seconds that events are gathered before the screen gets a new state


class StateChanged(Message):
    """There is a newer state."""

    def __init__(self, state: AppState) -> None:
        super().__init__()
        self.state = state

    def can_replace(self, message: Message) -> bool:
        """Return True for another one: only the newest state is drawn."""
        return isinstance(message, StateChanged)


class JobFailed(Message):
    """A job failed. `on_row`: its row shows the fault."""

    def __init__(self, job: Job, fault: Fault, *, on_row: bool) -> None:
        super().__init__()
        self.job = job
        self.fault = fault
        self.on_row = on_row


class RecordRemoved(Message):
    """A project or session was removed. It can be restored."""

    def __init__(self, name: str, warning: str) -> None:
        super().__init__()
        self.name = name
        self.warning = warning


class OrphansReported(Message):
    """There are orphaned clones or containers."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words


class WorkReported(Message):
    """A push, fetch, merge or save has a result."""

    def __init__(self, event: WorkEvent) -> None:
        super().__init__()
        self.event = event


class WarningRaised(Message):
    """Something was wrong and is repaired, such as a store that was restored from its copy."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


class EventBridge:
    """Subscriber of the event bus, and the only part that posts messages to the screen from a thread.

    It gathers events into states.
    """

    def __init__(self, relay: Relay, post: Callable[[Message], object]) -> None:
        self._relay = relay
        self._post = post
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._unsubscribe = relay.bus.subscribe(self._on_event)
        threading.Thread(target=self._deliver, name="bridge", daemon=True).start()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, JobEnded) and event.fault is not None:
            on_row = build_state(self._relay).is_shown(event.job.subject, event.fault)
            self._post(JobFailed(event.job, event.fault, on_row=on_row))
        elif isinstance(event, SessionRemoved):
            self._post(RecordRemoved(event.name, event.warning))
        elif isinstance(event, OrphansFound) and event.words:
            self._post(OrphansReported(event.words))
        elif isinstance(event, WorkEvent):
            self._post(WorkReported(event))
        self._changed.set()

    def _deliver(self) -> None:
        last: AppState | None = None
        warned = ""
        while not self._closed.is_set():
            self._changed.wait()
            self._closed.wait(BATCH)
            self._changed.clear()
            state = build_state(self._relay)
            if state.trouble is not None and last is not None:
                state = replace(state, records=last.records)
            if state != last and not self._closed.is_set():
                last = state
                self._post(StateChanged(state))
            warned, before = self._relay.store.warning(), warned
            if warned and warned != before and not self._closed.is_set():
                self._post(WarningRaised(warned))

    def close(self) -> None:
        """Stop posting."""
        self._unsubscribe()
        self._closed.set()
        self._changed.set()
