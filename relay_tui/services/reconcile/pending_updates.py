"""State updates that could not be written, because the disk is full or read-only. The screen shows them anyway."""

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

RETRY_SECONDS = 3.0  # seconds between attempts to write


class PendingUpdates:
    """State updates by session id, kept in memory until the data directory can be written again."""

    def __init__(self, *, files: Files, bus: EventBus, again: float = RETRY_SECONDS) -> None:
        self._files = files
        self._bus = bus
        self._again = again
        self._lock = threading.Lock()
        self._updates: dict[str, StateUpdate] = {}
        self._closed = threading.Event()
        self._waiting = False
        self.fault: Fault | None = None
        """The reason why nothing can be written now; None if it can."""
        self.on_writable: list[Callable[[set[str]], None]] = []
        """Callbacks, called with the session ids once the disk can be written. A failed update is kept again."""

    def keep(self, session_id: str, update: StateUpdate, error: FileSystemError) -> None:
        """Keep an update that could not be written because of `error`."""
        with self._lock:
            self._updates[session_id] = update
        self._report(error.fault)

    def _report(self, fault: Fault) -> None:
        """Report that nothing can be written, and retry until it can."""
        with self._lock:
            is_new, self.fault = fault != self.fault, fault
            start_thread, self._waiting = not self._waiting, True
        if is_new:
            log.warning("nothing can be written: %s: %s", fault.title, fault.detail)
        self._bus.publish(RecordsChanged())
        if start_thread:
            threading.Thread(target=self._wait, name="pending updates", daemon=True).start()

    def check_writable(self) -> None:
        """Report it if nothing can be written now."""
        try:
            self._files.try_writing()
        except FileSystemError as error:
            self._report(error.fault)

    def over(self, records: Records) -> Records:
        """Return the records with the pending updates applied."""
        with self._lock:
            kept = {key: update for key, update in self._updates.items() if key in records.sessions}
        if not kept:
            return records
        changed = {key: observation.apply(records.sessions[key], update) for key, update in kept.items()}
        return replace(records, sessions=MappingProxyType({**records.sessions, **changed}))

    def close(self) -> None:
        """Stop retrying."""
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
                log.warning("state not written: %s: %s", error.title, error.detail)
            self._bus.publish(RecordsChanged())
            return
