"""The facts of sessions: asked for in the background, a few at a time, kept until they are asked for again.

Nobody waits for them: a row shows what is kept, and FactsChanged says that there is something newer.
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

AT_ONCE = 2  # looks that run side by side: they share disk and processors with the sessions
REST = 10.0  # seconds after which the facts of a visible session are old
LONG_REST = 60.0  # the same while nothing runs in it: only a person's own hand changes its clone
_SHARE = 20.0  # a look that takes long is repeated less often: it takes at most this part of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEntry:
    """What a look found: facts, or the fault that says why there are none. `at` is seconds of `clock`."""

    facts: CloneStatus | None = None
    fault: Fault | None = None
    at: float = 0.0
    took: float = 0.0


class CloneStatusService:
    """Keeps the facts of sessions. Thread-safe; no method but look() waits for anything."""

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
        bus.subscribe(self._hear)

    def known(self, session_id: str) -> StatusEntry | None:
        """What was found last; None before the first look has ended."""
        return self._known.get(session_id)

    def request(self, session_id: str) -> None:
        """Look at a session soon, before all others; FactsChanged tells when something new is known."""
        with self._condition:
            if self._closed:
                return
            if session_id in self._running:
                self._again.add(session_id)  # the look that runs may have passed what is new
                return
            self._asked[session_id] = None
            self._asked.move_to_end(session_id, last=False)
            self._begin()
            self._condition.notify()

    def show(self, session_ids: Collection[str]) -> None:
        """Say which sessions are on screen: these are looked at again when their facts grow old, no others."""
        with self._condition:
            self._visible = tuple(session_ids)
            if not self._closed and self._visible:
                self._begin()
                self._condition.notify_all()

    def read_status(self, session_id: str) -> CloneStatus:
        """Look now and wait for it. Raises GitError, kind 'unknown', when nothing can be said."""
        facts = self._inspector.facts(self._repository.clone_of(self._repository.find(session_id)))
        self._keep(session_id, StatusEntry(facts=facts, at=self._clock()))
        return facts

    def changes(self, session_id: str, against: DiffBase) -> ChangeSet:
        """The files that differ from `against`. Raises GitError, kind 'unknown', or NotComparableError."""
        session = self._repository.find(session_id)
        with _way_out(session, against):
            return self._inspector.changes(self._repository.clone_of(session), against)

    def patch(self, session_id: str, against: DiffBase, path: str = "", *, limit: int = 4 << 20) -> Patch:
        """The diff of one file, or of all; at most `limit` bytes. Raises as changes() does."""
        session = self._repository.find(session_id)
        with _way_out(session, against):
            return self._inspector.patch(self._repository.clone_of(session), against, path, limit=limit)

    def guard(self, session_id: str) -> RemovalCheck:
        """What would be lost with the session; that nothing can be said is one of the risks, never raised."""
        return self._inspector.guard(self._repository.clone_of(self._repository.find(session_id)))

    def confinement(self) -> str:
        """What stands around the host's git while it looks at a clone, in words."""
        return self._inspector.confinement()

    def close(self) -> None:
        """Begin no more looks; those that run end by themselves."""
        with self._condition:
            self._closed = True
            self._asked.clear()
            self._condition.notify_all()

    # --- when to look ---

    def _hear(self, event: Event) -> None:
        """A job that ended, or a container that came or went, may have changed what is in a clone."""
        if isinstance(event, JobEnded):
            self._ask_if_visible({event.job.subject})
        elif isinstance(event, ProjectFetched):
            self._ask_if_visible(set(self._visible))
        elif isinstance(event, RecordsChanged) and self._visible:
            try:
                sessions = self._repository.read().sessions
            except RelayError:
                return  # the screen says so
            stamps = {i: (s.state, s.container_id) for i in self._visible if (s := sessions.get(i)) is not None}
            changed = {i for i, stamp in stamps.items() if self._stamps.get(i, stamp) != stamp}
            self._stamps = stamps
            self._ask_if_visible(changed)

    def _ask_if_visible(self, session_ids: set[str]) -> None:
        for session_id in session_ids & set(self._visible):
            self.request(session_id)

    def _begin(self) -> None:
        """Have the threads that look; they end with the process."""
        while len(self._threads) < AT_ONCE:
            thread = threading.Thread(target=self._work, name="facts", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (session_id := self._next()) is not None:
            try:
                self._look_at(session_id)
            except Exception:
                log.exception("looking at %s failed", session_id)
            finally:
                with self._condition:
                    self._running.discard(session_id)
                    repeat = session_id in self._again
                    self._again.discard(session_id)
                if repeat:
                    self.request(session_id)

    def _next(self) -> str | None:
        """Wait for a session to look at; None when it is over."""
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
        """The visible session whose facts have been old for longest, or '' and the seconds until one's are."""
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
            return True  # the screen says why nobody knows
        return session is not None and session.state is SessionState.RUNNING

    # --- looking ---

    def _look_at(self, session_id: str) -> None:
        began = self._clock()
        try:
            session = self._repository.find(session_id)
            if not self._files.has_clone(Path(session.work_dir)):
                raise NotFoundError("There is no clone yet", session.work_dir, "It is looked at when it is there.")
            facts = self._inspector.facts(self._repository.clone_of(session))
            found = StatusEntry(facts=facts, at=self._clock(), took=self._clock() - began)
        except RelayError as error:
            found = StatusEntry(fault=error.fault, at=self._clock(), took=self._clock() - began)
        self._keep(session_id, found)

    def _keep(self, session_id: str, found: StatusEntry) -> None:
        with self._condition:
            before = self._known.get(session_id)
            self._known[session_id] = found
            closed = self._closed
        if not closed and (before is None or (before.facts, before.fault) != (found.facts, found.fault)):
            self._bus.publish(FactsChanged(session_id))


@contextmanager
def _way_out(session: Session, against: DiffBase) -> Iterator[None]:
    """Say what gives a session's branch an upstream, by the session's name."""
    try:
        yield
    except NotComparableError as error:
        if against == "upstream":
            error.hint = f"{{push {session.name}}} gives it one{{|; --against branch-point needs none}}."
        raise
