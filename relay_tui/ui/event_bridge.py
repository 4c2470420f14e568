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
from relay_tui.ui.state import AppState, _on_row, build_state

if TYPE_CHECKING:
    from relay_tui.services.relay import Relay


WorkEvent = ProjectFetched | PushPlanned | WorkPushed | SessionUpdated | WorkSaved
"""What a person is told when it happens."""


BATCH = 0.05  # seconds that changes are gathered before the screen hears of them


class StateChanged(Message):
    """There is a newer snapshot."""

    def __init__(self, world: AppState) -> None:
        super().__init__()
        self.world = world

    def can_replace(self, message: Message) -> bool:
        """Only the newest matters."""
        return isinstance(message, StateChanged)


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


class OrphansReported(Message):
    """There are clones or containers that no record knows."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words


class WorkReported(Message):
    """Work went somewhere, or could."""

    def __init__(self, event: WorkEvent) -> None:
        super().__init__()
        self.event = event


class WarningRaised(Message):
    """Something was wrong, and was mended: the store came back from its copy."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


class EventBridge:
    """The only one that posts to the screen from a thread. Gathers what is announced into snapshots."""

    def __init__(self, relay: Relay, post: Callable[[Message], object]) -> None:
        self._relay = relay
        self._post = post
        self._stirred = threading.Event()
        self._closed = threading.Event()
        self._unsubscribe = relay.bus.subscribe(self._on_event)
        threading.Thread(target=self._deliver, name="bridge", daemon=True).start()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, JobEnded) and event.fault is not None:
            on_row = _on_row(self._relay, event.job.subject, event.fault)
            self._post(JobFailed(event.job, event.fault, on_row=on_row))
        elif isinstance(event, SessionRemoved):
            self._post(RecordRemoved(event.name, event.warning))
        elif isinstance(event, OrphansFound) and event.words:
            self._post(OrphansReported(event.words))
        elif isinstance(event, WorkEvent):
            self._post(WorkReported(event))
        self._stirred.set()

    def _deliver(self) -> None:
        last: AppState | None = None
        warned = ""
        while not self._closed.is_set():
            self._stirred.wait()
            self._closed.wait(BATCH)
            self._stirred.clear()
            world = build_state(self._relay)
            if world.trouble is not None and last is not None:
                world = replace(world, records=last.records)
            if world != last and not self._closed.is_set():
                last = world
                self._post(StateChanged(world))
            warned, before = self._relay.store.warning(), warned
            if warned and warned != before and not self._closed.is_set():
                self._post(WarningRaised(warned))

    def close(self) -> None:
        """Stop posting."""
        self._unsubscribe()
        self._closed.set()
        self._stirred.set()
