"""Git status of sessions, read in the background and cached.

A row shows the cached status. FactsChanged announces a newer one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.domain.errors import Fault, NotComparableError, NotFoundError, RelayError
from relay_tui.domain.events import Event, EventBus, FactsChanged, JobEnded, ProjectFetched, RecordsChanged
from relay_tui.domain.models import SessionState
from relay_tui.services.sessions.repository import SessionRepository

if TYPE_CHECKING:
    from relay_tui.domain.changes import ChangeSet, CloneStatus, DiffBase, Patch
    from relay_tui.domain.models import Session
    from relay_tui.domain.unsaved_work import RemovalCheck
    from relay_tui.ports import CloneInspector, Files

log = logging.getLogger(__name__)

AT_ONCE = 2  # inspections that run in parallel: they share disk and processors with the sessions
REST = 10.0  # seconds after which the status of a visible session is read again
LONG_REST = 60.0  # the same for a session that is not running: only a person changes its clone
_SHARE = 20.0  # an inspection is repeated after this many times its duration at the earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEntry:
    """Result of an inspection: the status, or the reason why there is none. `at` is in seconds of `clock`."""

    facts: CloneStatus | None = None
    fault: Fault | None = None
    at: float = 0.0
    took: float = 0.0


class CloneStatusService:
    """Cache of the git status of sessions. Thread-safe; only the methods that read a clone block."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        files: Files,
        inspector: CloneInspector,
        bus: EventBus,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository = repository
        self._files = files
        self._inspector = inspector
        self._bus = bus
        self._clock = clock
        self._condition = threading.Condition()
        self._known: dict[str, StatusEntry] = {}
        self._asked: OrderedDict[str, None] = OrderedDict()
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._visible: tuple[str, ...] = ()
        self._stamps: dict[str, tuple[SessionState, str]] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False
        bus.subscribe(self._handle_event)

    def known(self, session_id: str) -> StatusEntry | None:
        """Return the latest result; None before the first inspection has ended."""
        return self._known.get(session_id)

    def request(self, session_id: str) -> None:
        """Read a session's status before all others; FactsChanged announces a new result."""
        with self._condition:
            if self._closed:
                return
            if session_id in self._running:
                self._again.add(session_id)  # the running inspection may have read the files before they changed
                return
            self._asked[session_id] = None
            self._asked.move_to_end(session_id, last=False)
            self._start_threads()
            self._condition.notify()

    def show(self, session_ids: Collection[str]) -> None:
        """Set the sessions on the screen: only their status is read again when it is old."""
        with self._condition:
            self._visible = tuple(session_ids)
            if not self._closed and self._visible:
                self._start_threads()
                self._condition.notify_all()

    def read_status(self, session_id: str) -> CloneStatus:
        """Read the status now. Raises GitError, kind 'unknown', if it cannot be determined."""
        facts = self._inspector.facts(self._repository.clone_of(self._repository.find(session_id)))
        self._cache(session_id, StatusEntry(facts=facts, at=self._clock()))
        return facts

    def changes(self, session_id: str, against: DiffBase) -> ChangeSet:
        """Return the files that differ from `against`. Raises GitError, kind 'unknown', or NotComparableError."""
        session = self._repository.find(session_id)
        with _with_push_hint(session, against):
            return self._inspector.changes(self._repository.clone_of(session), against)

    def patch(self, session_id: str, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """Return the diff of one file, or of all; at most `limit` bytes. Raises as changes() does."""
        session = self._repository.find(session_id)
        with _with_push_hint(session, against):
            return self._inspector.patch(self._repository.clone_of(session), against, path, limit=limit)

    def guard(self, session_id: str) -> RemovalCheck:
        """Return the session's unsaved work. A state that cannot be determined is one of the risks, not an error."""
        return self._inspector.guard(self._repository.clone_of(self._repository.find(session_id)))

    def confinement(self) -> str:
        """Return the name of the sandbox around git on the host."""
        return self._inspector.confinement()

    def close(self) -> None:
        """Start no more inspections; running ones end by themselves."""
        with self._condition:
            self._closed = True
            self._asked.clear()
            self._condition.notify_all()

    # --- scheduling ---

    def _handle_event(self, event: Event) -> None:
        """Request the status of visible sessions that a job or a container may have changed."""
        if isinstance(event, JobEnded):
            self._request_visible({event.job.subject})
        elif isinstance(event, ProjectFetched):
            self._request_visible(set(self._visible))
        elif isinstance(event, RecordsChanged) and self._visible:
            try:
                sessions = self._repository.read().sessions
            except RelayError:
                return  # the screen shows this error
            stamps = {i: (s.state, s.container_id) for i in self._visible if (s := sessions.get(i)) is not None}
            changed = {i for i, stamp in stamps.items() if self._stamps.get(i, stamp) != stamp}
            self._stamps = stamps
            self._request_visible(changed)

    def _request_visible(self, session_ids: set[str]) -> None:
        for session_id in session_ids & set(self._visible):
            self.request(session_id)

    def _start_threads(self) -> None:
        """Start the inspection threads; they end with the process."""
        while len(self._threads) < AT_ONCE:
            thread = threading.Thread(target=self._work, name="facts", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (session_id := self._next()) is not None:
            try:
                self._inspect(session_id)
            except Exception:
                log.exception("inspection of %s failed", session_id)
            finally:
                with self._condition:
                    self._running.discard(session_id)
                    repeat = session_id in self._again
                    self._again.discard(session_id)
                if repeat:
                    self.request(session_id)

    def _next(self) -> str | None:
        """Wait for the next session to inspect; return None after close()."""
        with self._condition:
            while not self._closed:
                if self._asked:
                    session_id, _ = self._asked.popitem(last=False)
                    self._running.add(session_id)
                    return session_id
                old, wait = self._oldest()
                if old:
                    self._running.add(old)
                    return old
                self._condition.wait(wait)
            return None

    def _oldest(self) -> tuple[str, float | None]:
        """Return the visible session whose status is due for longest; or '' and the seconds until one is due."""
        moment = self._clock()
        due = {i: self._due(i) for i in self._visible if i not in self._running}
        if not due:
            return "", None
        session_id = min(due, key=lambda i: due[i])
        if due[session_id] <= moment:
            return session_id, None
        return "", due[session_id] - moment

    def _due(self, session_id: str) -> float:
        known = self._known.get(session_id)
        if known is None:
            return 0.0
        return known.at + max(REST if self._runs(session_id) else LONG_REST, known.took * _SHARE)

    def _runs(self, session_id: str) -> bool:
        try:
            session = self._repository.read().sessions.get(session_id)
        except RelayError:
            return True  # the screen shows this error
        return session is not None and session.state is SessionState.RUNNING

    # --- inspection ---

    def _inspect(self, session_id: str) -> None:
        started_at = self._clock()
        try:
            session = self._repository.find(session_id)
            if not self._files.has_clone(Path(session.work_dir)):
                raise NotFoundError(
                    "There is no clone yet", session.work_dir, "The status is read when the clone exists."
                )
            facts = self._inspector.facts(self._repository.clone_of(session))
            found = StatusEntry(facts=facts, at=self._clock(), took=self._clock() - started_at)
        except RelayError as error:
            found = StatusEntry(fault=error.fault, at=self._clock(), took=self._clock() - started_at)
        self._cache(session_id, found)

    def _cache(self, session_id: str, found: StatusEntry) -> None:
        with self._condition:
            before = self._known.get(session_id)
            self._known[session_id] = found
            closed = self._closed
        if not closed and (before is None or (before.facts, before.fault) != (found.facts, found.fault)):
            self._bus.publish(FactsChanged(session_id))


@contextmanager
def _with_push_hint(session: Session, against: DiffBase) -> Iterator[None]:
    """Add the command that creates an upstream branch to a NotComparableError of the block."""
    try:
        yield
    except NotComparableError as error:
        if against == "upstream":
            error.hint = f"{{Press|Run}} {{push {session.name}}} to create it{{|, or use --against branch-point}}."
        raise
