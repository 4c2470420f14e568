"""Monitor of one runtime: its reachability and the state of its containers, driven by events."""

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

BACKOFF = (0.5, 1.0, 2.0, 3.0, 5.0)  # seconds between attempts to reach the engine; the last one repeats


class RuntimeMonitor:
    """Daemon thread that writes observed states on the rows, and reconnects when the connection is lost."""

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
        pending.on_writable.append(self.update_sessions)
        self.on_connect = on_connect or self.update_all
        """Called after each connection, before the engine is reported as up."""
        self.on_drift: Callable[[], None] = lambda: None
        """Called if a session runs that should be stopped: a reconcile stops it."""
        self._closed = threading.Event()
        self._stream: EventStream | None = None
        self.status = EngineStatus("connecting")
        self.stirs: Mapping[str, int] = {}
        """Events of each session's container, by session id. A restarted container can look as before."""

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._watch, name="runtime monitor", daemon=True).start()

    def close(self) -> None:
        """Stop the thread."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _watch(self) -> None:
        attempt, version = 0, ""
        while not self._closed.is_set():
            try:
                version = self._runtime.ping()
                self._stream = self._runtime.events()
                self.on_connect()
                self._publish(EngineStatus("up", version))
                attempt = 0
                for session_id in self._stream:
                    self._update_session(session_id)
                    self.stirs = {**self.stirs, session_id: self.stirs.get(session_id, 0) + 1}
                    self._bus.publish(ContainerChanged(session_id))
                self._report_lost(
                    EngineUnreachableError("The engine closed the connection", hint="relay reconnects automatically."),
                    attempt,
                )
            except EngineError as error:
                self._report_lost(error, attempt)
            except RelayError as error:  # not an error of the engine: the store is full, read-only or unreadable
                log.log(
                    logging.DEBUG if attempt else logging.WARNING,
                    "state not written: %s: %s",
                    error.title,
                    error.detail,
                )
                self._publish(EngineStatus("up", version))  # the rows stay as they are; the next attempt updates them
            except Exception:  # a bug here must not end the monitor
                log.exception("the monitor failed")
                self._publish(
                    EngineStatus("up", version) if version else EngineStatus("down", "see relay's log for the reason")
                )
            self._closed.wait(BACKOFF[min(attempt, len(BACKOFF) - 1)])
            attempt += 1

    def _report_lost(self, reason: EngineError, attempt: int) -> None:
        """Report that the engine does not answer, but not at the first lost connection: it may be a short one."""
        if self._closed.is_set():
            return
        if attempt or not isinstance(reason, EngineUnreachableError) or self.status.state != "up":
            self._publish(EngineStatus("down", reason.detail or reason.title, reason.hint))

    def _publish(self, status: EngineStatus) -> None:
        if status != self.status:
            self.status = status
            self._bus.publish(EngineStatusChanged(status))

    def update_all(self) -> None:
        """Write the observed states of all sessions of this runtime that differ from their rows."""
        seen = {container.session_id: container for container in self._runtime.list_containers()}
        for session in [s for s in self._store.read().live_sessions() if s.runtime == self._kind]:
            self._settle(session, seen.get(session.id))

    def _update_session(self, session_id: str) -> None:
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

    def update_sessions(self, session_ids: Collection[str]) -> None:
        """Write the observed states of sessions whose rows could not be written before."""
        sessions = self._store.read().sessions
        for session_id in session_ids:
            if session_id in sessions and sessions[session_id].runtime == self._kind:
                self._update_session(session_id)

    def _settle(self, session: Session, seen: ContainerState | None) -> None:
        update = observation.status_update(session, seen)
        if update is None or self._locks.holder(session.id):
            return  # nothing changed, or a running operation writes the row when it ends
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
            update = observation.status_update(present, seen)  # again, because a person may have stopped it since
            if update is None:
                return
            if update.reason is not None and not update.reason.detail:
                update = replace(update, reason=replace(update.reason, detail=words))
            change.put(observation.apply(present, update))
        self._bus.publish(RecordsChanged())
