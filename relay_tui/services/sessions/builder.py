"""What a session is made of: from its record to its clone, its container, and that running."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from relay_tui.config import Config
from relay_tui.domain.errors import CancelledError, ConflictError, Fault, NotFoundError, RelayError, with_step
from relay_tui.domain.events import EventBus, RecordsChanged
from relay_tui.domain.models import DesiredState, Project, Session, SessionState, now
from relay_tui.paths import DataDir
from relay_tui.ports import CloneInspector, Files, Git, Runtime, Store, Transaction
from relay_tui.ports.task import SecondaryTaskContext, TaskContext
from relay_tui.services import naming
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.sessions import observation
from relay_tui.services.sessions.drafts import NewSession, SessionDrafts
from relay_tui.services.sessions.observation import tail_excerpt
from relay_tui.services.sessions.repository import clone_of

log = logging.getLogger(__name__)

SETTLING = 0.5  # seconds a command is given to fail before its session counts as running


class SessionBuilder(SessionDrafts):
    """Puts sessions on record, makes what is missing of one, and says on its row how far that came."""

    def __init__(
        self,
        *,
        store: Store,
        git: Git,
        look: CloneInspector,
        runtime: Runtime,
        files: Files,
        locks: OperationLocks,
        bus: EventBus,
        config: Config,
        data_dir: DataDir,
    ) -> None:
        super().__init__(store=store, git=git, runtime=runtime, config=config, data_dir=data_dir)
        self._look = look
        self._files = files
        self._locks = locks
        self._bus = bus

    # --- from record to running ---

    def register(self, wanted: NewSession) -> Session:
        """Put the session on record; nothing is cloned yet. Raises as draft() does."""
        heads = {branch.name for branch in self.branches(self._project(wanted.project).id)}
        choice = self.confirm_runtime(wanted)
        with self._locks.while_written(), self._store.transaction() as change:
            session = self.build_draft(wanted, change.records, heads, choice)
            self.put_claimed(session, change)
        self._bus.publish(RecordsChanged())
        return session

    def put_claimed(self, session: Session, change: Transaction) -> None:
        """Put a session on record that build() is to follow: no other relay may take it up in between."""
        self._locks.claim(session.id, "creating a session")
        change.put(session)

    def build(self, session_id: str, task: TaskContext) -> Session:
        """Make of the session's record whatever is missing: its clone, its container, the container running."""
        with self._locks.hold(session_id, "creating a session"), self._on_row(session_id, task):
            return self._make(self._begin(session_id), task)

    def _begin(self, session_id: str, *, urgent: bool = False, **changes: object) -> Session:
        """Put on record that the session is to run: whatever cuts us off, the next reconcile goes on with it."""
        return self._change(
            session_id,
            urgent=urgent,
            desired=DesiredState.RUNNING,
            state=SessionState.STARTING,
            error_reason=None,
            exit_code=None,
            **changes,
        )

    def _make(self, session: Session, task: TaskContext) -> Session:
        made = self._clone_and_create(session, task)
        task.report("Starting")
        try:
            with with_step("Starting"):
                return self._start(made)
        except RelayError:
            self._change(session.id, urgent=True, container_id=made.container_id, notes=made.notes)
            raise

    def _clone_and_create(self, session: Session, task: TaskContext) -> Session:
        """The session with its container and notes, which are not on record yet: its labels name the container.

        The clone is made in a thread while the container is created: neither needs the other.
        """
        work_dir = Path(session.work_dir)
        if self._files.has_clone(work_dir):
            return self._ensure_container(session, task)
        trash = {entry.name for entry in self._files.trash_entries()}
        if session.project_id in trash and not self._files.has_clone(self._data_dir.base(session.project_id)):
            raise ConflictError("Its project is not back from the trash yet", hint="relay reconcile goes on with it.")
        if session.id in trash:
            self._files.from_trash(session.id, work_dir)  # restored: its work comes back, never a fresh clone
            return self._ensure_container(session, task)
        self._files.make_directory(work_dir)
        clone = _Promise(lambda: self._clone(session, task))
        try:
            session = self._ensure_container(session, SecondaryTaskContext(task, first=clone.running))
        except RelayError:
            if not task.cancelled:
                clone.result()  # the clone's own failure comes first; its success is kept for the retry
            raise
        finally:
            clone.join()
        return replace(session, notes=(*session.notes, *clone.result()))

    @with_step("Cloning")
    def _clone(self, session: Session, task: TaskContext) -> list[str]:
        project = self._project(session.project_id)
        new_branch = session.branch if session.branch != session.base_branch else ""
        notes = self._git.clone_session(
            self._data_dir.base(project.id),
            Path(session.work_dir),
            branch=session.base_branch,
            new_branch=new_branch,
            origin=project.source,
            task=task,
        )
        self._prepare_look(session)
        return notes

    def _prepare_look(self, session: Session) -> None:
        """While nobody but us has touched the clone. What fails here is made good at the first look."""
        try:
            self._look.prepare(clone_of(session, self._data_dir))
        except RelayError as error:
            log.warning("no eye for %s yet: %s: %s", session.id, error.title, error.detail)

    def _ensure_container(self, session: Session, task: TaskContext) -> Session:
        if session.container_id:
            try:
                self._runtime.inspect(session.container_id)
            except NotFoundError:
                pass
            else:
                return session
        spec = self._spec(session, self._project(session.project_id), self._git.identity())
        with with_step("Creating the container"):
            return replace(session, container_id=self._runtime.create(spec, task))

    def _start(self, made: Session) -> Session:
        """Start what was made, and put all of it on record at once. A command that ends well at once is no failure."""
        self._runtime.start(made.container_id)
        profile = self._config.find_profile(made.profile)
        if profile.command:
            seen = self._runtime.wait(made.container_id, SETTLING)
            if seen.status != "running":
                return self._note(made, observation.exit_update(seen, self.tail_excerpt(made.container_id)))
        return self._note(made, observation.StateUpdate(SessionState.RUNNING))

    def tail_excerpt(self, container_id: str) -> str:
        """The last lines of a container's last run, whatever it is; '' if there are none to be had."""
        return tail_excerpt(self._runtime, container_id)

    def _note(self, made: Session, update: observation.StateUpdate) -> Session:
        session = self._change(
            made.id,
            urgent=True,
            container_id=made.container_id,
            notes=made.notes,
            state=update.state,
            exit_code=update.exit_code,
            error_reason=update.reason,
        )
        if update.reason is not None and update.state is SessionState.ERROR:
            raise observation.CommandFailedError(update.reason)
        return session

    # --- the record ---

    @contextmanager
    def _on_row(self, session_id: str, task: TaskContext) -> Iterator[None]:
        """A failure within the block is written on the session's row, with the step that failed, and goes on up."""
        try:
            yield
        except observation.CommandFailedError as error:
            error.about = self._called(session_id)
            raise  # on the row already, with the exit code
        except CancelledError:
            if not task.quitting:  # what a leaving relay began, the next one goes on with by itself
                cancelled = Fault("cancelled", "Cancelled", hint="{retry} goes on with it.")
                self._write_fault(session_id, cancelled)
            raise
        except RelayError as error:
            error.about = error.about or self._called(session_id)
            self._write_fault(session_id, error.fault)
            raise

    def _called(self, session_id: str) -> str:
        records = self._store.read()
        session = records.sessions.get(session_id)
        return naming.full_name(records, session) if session else ""

    def _write_fault(self, session_id: str, fault: Fault) -> None:
        """On the row, if that can be written; the fault itself goes on up all the same."""
        try:
            self._change(session_id, urgent=True, state=SessionState.ERROR, error_reason=fault)
        except RelayError as error:
            log.warning("%r is not on the row of %s: %s: %s", fault.title, session_id, error.title, error.detail)

    def _project(self, project_id: str) -> Project:
        project = self._store.read().projects.get(project_id)
        if project is None or project.deleted_at is not None:
            raise NotFoundError("That project is gone", project_id)
        return project

    def _find(self, session_id: str) -> Session:
        session = self._store.read().sessions.get(session_id)
        if session is None or session.deleted_at is not None:
            raise NotFoundError("That session is gone", session_id)
        return session

    def _change(self, session_id: str, *, urgent: bool = False, **changes: object) -> Session:
        with self._store.transaction(urgent=urgent) as change:
            session = change.records.sessions.get(session_id)
            if session is None or session.deleted_at is not None:
                raise NotFoundError("That session is gone", session_id)
            changed = replace(session, **changes)  # type: ignore[arg-type]
            if changed == session:
                return session
            session = replace(changed, updated_at=now())
            change.put(session)
        self._bus.publish(RecordsChanged())
        return session


class _Promise:
    """The outcome of a call made in a thread."""

    def __init__(self, call: Callable[[], list[str]]) -> None:
        self._call = call
        self._value: list[str] = []
        self._error: RelayError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="clone")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except RelayError as error:
            self._error = error

    def running(self) -> bool:
        """Whether the call has not ended yet."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait until the call has ended."""
        self._thread.join()

    def result(self) -> list[str]:
        """What the call returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value
