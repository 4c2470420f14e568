"""Lookups and changes of session records, shared by all services."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.domain.errors import CancelledError, Fault, NotFoundError, RelayError
from relay_tui.domain.events import EventBus, RecordsChanged
from relay_tui.domain.models import Project, Records, Session, SessionState, now
from relay_tui.services import naming
from relay_tui.services.sessions.observation import CommandFailedError

if TYPE_CHECKING:
    from relay_tui.paths import DataDir
    from relay_tui.ports import SessionClone, Store, Transaction
    from relay_tui.ports.task import TaskContext

log = logging.getLogger(__name__)


def live_session(records: Records, session_id: str) -> Session:
    """Return the session. Raises NotFoundError if there is none or it was removed."""
    session = records.sessions.get(session_id)
    if session is None or session.deleted_at is not None:
        raise NotFoundError("That session is gone", session_id)
    return session


def live_project(records: Records, project_id: str) -> Project:
    """Return the project. Raises NotFoundError if there is none or it was removed."""
    project = records.projects.get(project_id)
    if project is None or project.deleted_at is not None:
        raise NotFoundError("That project is gone", project_id)
    return project


class SessionRepository:
    """Session records with their projects and clones. Thread-safe.

    A method that changes a record publishes RecordsChanged after the store was written.
    """

    def __init__(self, store: Store, bus: EventBus, data_dir: DataDir) -> None:
        self._store = store
        self._bus = bus
        self._data_dir = data_dir

    # --- lookups ---

    def read(self) -> Records:
        """Return all records as they are now."""
        return self._store.read()

    def find(self, session_id: str) -> Session:
        """Return the session. Raises NotFoundError if there is none or it was removed."""
        return live_session(self._store.read(), session_id)

    def find_project(self, project_id: str) -> Project:
        """Return the project. Raises NotFoundError if there is none or it was removed."""
        return live_project(self._store.read(), project_id)

    def project_of(self, session: Session) -> Project:
        """Return the session's project. Raises NotFoundError if it was removed."""
        return self.find_project(session.project_id)

    def full_name(self, session_id: str) -> str:
        """Return `project/session`, or '' if there is no such session."""
        records = self._store.read()
        session = records.sessions.get(session_id)
        return naming.full_name(records, session) if session else ""

    def clone_of(self, session: Session, work_dir: Path | None = None) -> SessionClone:
        """Return the paths and branches of the session's clone.

        `work_dir` is the clone's directory if it differs from the record: a clone in the trash.
        """
        from relay_tui.ports import SessionClone  # imports modules that the first paint does without

        return SessionClone(
            session_id=session.id,
            work_dir=work_dir or Path(session.work_dir),
            shadow_dir=self._data_dir.shadow_repo(session.project_id, session.id),
            base=self._data_dir.base(session.project_id),
            branch=session.branch,
            base_branch=session.base_branch,
            name=session.name,
        )

    # --- changes ---

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """Change the store in one transaction; publish RecordsChanged after it was written."""
        with self._store.transaction(urgent=urgent) as change:
            yield change
        self._bus.publish(RecordsChanged())

    def update(self, session_id: str, *, urgent: bool = False, **changes: object) -> Session:
        """Replace fields of the session's record; return the record as it is now.

        Nothing is written if no field changes. `urgent` is explained at Store.transaction().
        Raises NotFoundError if there is no such session or it was removed.
        """
        with self._store.transaction(urgent=urgent) as change:
            session = live_session(change.records, session_id)
            changed = replace(session, **changes)  # type: ignore[arg-type]
            if changed == session:
                return session
            session = replace(changed, updated_at=now())
            change.put(session)
        self._bus.publish(RecordsChanged())
        return session

    # --- errors on the row ---

    @contextmanager
    def run_on_row(self, session_id: str, task: TaskContext) -> Iterator[None]:
        """Run the block; write an error that it raises on the session's row, and raise the error again."""
        try:
            yield
        except CommandFailedError as error:
            error.about = self.full_name(session_id)
            raise  # the row already has the error, with the exit code
        except CancelledError:
            if not task.quitting:  # the next relay continues the work that a quitting relay interrupts
                self.write_error(session_id, Fault("cancelled", "Cancelled", hint="{Press|Run} {retry} to continue."))
            raise
        except RelayError as error:
            error.about = error.about or self.full_name(session_id)
            self.write_error(session_id, error.fault)
            raise

    def write_error(self, session_id: str, fault: Fault) -> None:
        """Write the error on the session's row; only log it if the row cannot be written.

        The caller raises the error itself, which must not be replaced by a second one.
        """
        try:
            self.update(session_id, urgent=True, state=SessionState.ERROR, error_reason=fault)
        except RelayError as error:
            log.warning("cannot write %r on the row of %s: %s: %s", fault.title, session_id, error.title, error.detail)
