"""Watches the engine: is it there, and what do the containers do. Pushed by its events, never polled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from relay_tui.domain.errors import EngineError, EngineUnreachableError, FileSystemError, NotFoundError, RelayError
from relay_tui.domain.events import ContainerChanged, EngineStatus, EngineStatusChanged, EventBus, RecordsChanged
from relay_tui.domain.models import DesiredState, Session
from relay_tui.services.runtime_router import DOCKER
from relay_tui.services.sessions import observation

if TYPE_CHECKING:
    from relay_tui.ports import ContainerState, EventStream, Runtime, Store
    from relay_tui.services.operation_locks import OperationLocks
    from relay_tui.services.reconcile.pending_updates import PendingUpdates

log = logging.getLogger(__name__)

BACKOFF = (0.5, 1.0, 2.0, 3.0, 5.0)  # seconds between attempts to reach the engine; the last one for ever


class RuntimeMonitor:
    """One daemon thread that keeps the rows' observed half true, and reconnects by itself."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        store: Store,
        locks: OperationLocks,
        bus: EventBus,
        pending: PendingUpdates,
        on_connect: Callable[[], None] | None = None,
        kind: str = DOCKER,
    ) -> None:
        self._kind = kind
        self._runtime = runtime
        self._store = store
        self._locks = locks
        self._bus = bus
        self._pending = pending
        pending.on_writable.append(self.look_again)
        self.on_connect = on_connect or self.look_at_all
        """Called each time the engine came; what it does is done before the engine is said to be up."""
        self.on_drift: Callable[[], None] = lambda: None
        """Called when a session runs that is to be stopped: a reconcile stops it."""
        self._closed = threading.Event()
        self._stream: EventStream | None = None
        self.status = EngineStatus("connecting")
        self.stirs: Mapping[str, int] = {}
        """By session id, how often something happened to its container: it may run anew, and look as it did before."""

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="engine watch", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _watch(self) -> None:
        attempt, words = 0, ""
        while not self._closed.is_set():
            try:
                words = self._runtime.ping()
                self._stream = self._runtime.events()
                self.on_connect()
                self._say(EngineStatus("up", words))
                attempt = 0
                for session_id in self._stream:
                    self._look_at(session_id)
                    self.stirs = {**self.stirs, session_id: self.stirs.get(session_id, 0) + 1}
                    self._bus.publish(ContainerChanged(session_id))
                self._lost(
                    EngineUnreachableError(
                        "The engine closed the connection", hint="relay looks for it again by itself."
                    ),
                    attempt,
                )
            except EngineError as error:
                self._lost(error, attempt)
            except RelayError as error:  # not the engine's fault: the store is full, read-only or unreadable
                log.log(logging.DEBUG if attempt else logging.WARNING, "not noted: %s: %s", error.title, error.detail)
                self._say(EngineStatus("up", words))  # the rows stay as they are, and are looked at again
            except Exception:  # a bug here must not leave the rows as they are for ever
                log.exception("the watch stumbled")
                self._say(EngineStatus("up", words) if words else EngineStatus("down", "relay's log says why"))
            self._closed.wait(BACKOFF[min(attempt, len(BACKOFF) - 1)])
            attempt += 1

    def _lost(self, reason: EngineError, attempt: int) -> None:
        """Say that the engine does not answer, unless its connection has only just broken: it may be a blink."""
        if self._closed.is_set():
            return
        if attempt or not isinstance(reason, EngineUnreachableError) or self.status.state != "up":
            self._say(EngineStatus("down", reason.detail or reason.title, reason.hint))

    def _say(self, status: EngineStatus) -> None:
        if status != self.status:
            self.status = status
            self._bus.publish(EngineStatusChanged(status))

    def look_at_all(self) -> None:
        """Compare every session of its kind with what runs there, and write what differs."""
        seen = {container.session_id: container for container in self._runtime.list_containers()}
        for session in [s for s in self._store.read().live_sessions() if s.runtime == self._kind]:
            self._settle(session, seen.get(session.id))

    def _look_at(self, session_id: str) -> None:
        session = self._store.read().sessions.get(session_id)
        if session is None or session.deleted_at is not None or not session.container_id:
            return
        try:
            seen: ContainerState | None = self._runtime.inspect(session.container_id)
        except NotFoundError:
            seen = None
        self._settle(session, seen)
        if seen is not None and seen.status == "running" and session.desired is DesiredState.STOPPED:
            self.on_drift()

    def look_again(self, session_ids: Collection[str]) -> None:
        """Look at what could not be written when it was seen."""
        sessions = self._store.read().sessions
        for session_id in session_ids:
            if session_id in sessions and sessions[session_id].runtime == self._kind:
                self._look_at(session_id)

    def _settle(self, session: Session, seen: ContainerState | None) -> None:
        update = observation.status_update(session, seen)
        if update is None or self._locks.holder(session.id):
            return  # as it says already, or someone is at work on it and will say so
        words = (
            observation.tail_excerpt(self._runtime, seen.container_id)
            if update.reason is not None and seen is not None
            else ""
        )
        try:
            self._write(session, seen, words)
        except FileSystemError as error:
            if update.reason is not None and not update.reason.detail:
                update = replace(update, reason=replace(update.reason, detail=words))
            self._pending.keep(session.id, update, error)

    def _write(self, session: Session, seen: ContainerState | None, words: str) -> None:
        with self._store.transaction() as change:
            present = change.records.sessions.get(session.id)
            if present is None or present.deleted_at is not None or present.container_id != session.container_id:
                return
            update = observation.status_update(
                present, seen
            )  # once more: a person may have stopped it since it was looked at
            if update is None:
                return
            if update.reason is not None and not update.reason.detail:
                update = replace(update, reason=replace(update.reason, detail=words))
            change.put(observation.apply(present, update))
        self._bus.publish(RecordsChanged())
