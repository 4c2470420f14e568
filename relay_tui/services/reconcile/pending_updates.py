"""What was observed and could not be written, on a full disk or a read-only one; the screen shows it all the same."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from relay_tui.domain.errors import Fault, FileSystemError, RelayError
from relay_tui.domain.events import EventBus, RecordsChanged
from relay_tui.services.sessions import observation

if TYPE_CHECKING:
    from relay_tui.domain.models import Records
    from relay_tui.ports import Files
    from relay_tui.services.sessions.observation import StateUpdate

log = logging.getLogger(__name__)

AGAIN = 3.0  # seconds between attempts to write


class PendingUpdates:
    """Updates of sessions by id, kept in memory until the data dir can be written again."""

    def __init__(self, *, files: Files, bus: EventBus, again: float = AGAIN) -> None:
        self._files = files
        self._bus = bus
        self._again = again
        self._lock = threading.Lock()
        self._updates: dict[str, StateUpdate] = {}
        self._closed = threading.Event()
        self._waiting = False
        self.fault: Fault | None = None
        """Why nothing can be written now; None when it can."""
        self.on_writable: list[Callable[[set[str]], None]] = []
        """Each is called with the ids of what was kept, once it can be written; whatever fails again is kept again."""

    def keep(self, session_id: str, update: StateUpdate, error: FileSystemError) -> None:
        """Keep an update that `error` did not let onto the record."""
        with self._lock:
            self._updates[session_id] = update
        self.sound(error.fault)

    def sound(self, fault: Fault) -> None:
        """Say that nothing can be written, and look again until it can."""
        with self._lock:
            news, self.fault = fault != self.fault, fault
            begin, self._waiting = not self._waiting, True
        if news:
            log.warning("nothing can be written: %s: %s", fault.title, fault.detail)
        self._bus.publish(RecordsChanged())
        if begin:
            threading.Thread(target=self._wait, name="unsaved", daemon=True).start()

    def check_writable(self) -> None:
        """Say so if nothing can be written now."""
        try:
            self._files.try_writing()
        except FileSystemError as error:
            self.sound(error.fault)

    def over(self, records: Records) -> Records:
        """The records as they would be with what is kept."""
        with self._lock:
            kept = {key: update for key, update in self._updates.items() if key in records.sessions}
        if not kept:
            return records
        changed = {key: observation.apply(records.sessions[key], update) for key, update in kept.items()}
        return replace(records, sessions=MappingProxyType({**records.sessions, **changed}))

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _wait(self) -> None:
        while not self._closed.wait(self._again):
            try:
                self._files.try_writing()
            except FileSystemError as error:
                self.fault = error.fault
                continue
            with self._lock:
                kept, self._updates = set(self._updates), {}
                self.fault, self._waiting = None, False
            try:
                for call in self.on_writable:
                    call(kept)
            except RelayError as error:
                log.warning("not noted: %s: %s", error.title, error.detail)
            self._bus.publish(RecordsChanged())
            return
