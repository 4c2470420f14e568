"""Build a session from its record: clone, container, start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from relay_tui.domain.errors import ConflictError, NotFoundError, RelayError, with_step
from relay_tui.domain.models import DesiredState, Session, SessionState
from relay_tui.ports import CloneInspector, Files, Git, Runtime, Transaction
from relay_tui.ports.task import SecondaryTaskContext, TaskContext
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.sessions.drafts import NewSession, SessionDrafts
from relay_tui.services.sessions.observation import CommandFailedError, StateUpdate, exit_update, tail_excerpt
from relay_tui.services.sessions.repository import SessionRepository

log = logging.getLogger(__name__)

STARTUP_SECONDS = 0.5  # seconds in which a command may fail before its session counts as running


class SessionBuilder:
    """Registers sessions, creates their missing parts and starts them. Errors show on the session's row."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        drafts: SessionDrafts,
        git: Git,
        inspector: CloneInspector,
        runtime: Runtime,
        files: Files,
        locks: OperationLocks,
    ) -> None:
        self._repository = repository
        self._drafts = drafts
        self._git = git
        self._inspector = inspector
        self._runtime = runtime
        self._files = files
        self._locks = locks

    def register(self, wanted: NewSession) -> Session:
        """Store the session's record without creating anything yet.

        Raises the errors of SessionDrafts.build_draft() and confirm_runtime().
        """
        project = self._repository.find_project(wanted.project)
        heads = {branch.name for branch in self._drafts.branches(project.id)}
        choice = self._drafts.confirm_runtime(wanted)
        with self._locks.while_written(), self._repository.transaction() as change:
            session = self._drafts.build_draft(wanted, change.records, heads, choice)
            self.put_claimed(session, change)
        return session

    def put_claimed(self, session: Session, change: Transaction) -> None:
        """Store a session that build() is to follow, with its lock claimed for build().

        The claim keeps another relay from building the session in between.
        """
        self._locks.claim(session.id, "creating a session")
        change.put(session)

    def build(self, session_id: str, task: TaskContext) -> Session:
        """Create the missing parts of the session (clone, container), and start it."""
        with (
            self._locks.hold(session_id, "creating a session"),
            self._repository.run_on_row(session_id, task),
        ):
            return self.build_locked(self.mark_starting(session_id), task)

    def mark_starting(self, session_id: str, *, urgent: bool = False, **changes: object) -> Session:
        """Store that the session is to run: after a crash, the next reconcile continues from here."""
        return self._repository.update(
            session_id,
            urgent=urgent,
            desired=DesiredState.RUNNING,
            state=SessionState.STARTING,
            error_reason=None,
            exit_code=None,
            **changes,
        )

    def build_locked(self, session: Session, task: TaskContext) -> Session:
        """Create the missing parts and start the session; the caller holds its lock."""
        created = self._create_missing(session, task)
        task.report("Starting")
        try:
            with with_step("Starting"):
                return self._start(created)
        except RelayError:
            self._repository.update(session.id, urgent=True, container_id=created.container_id, notes=created.notes)
            raise

    # --- clone and container ---

    def _create_missing(self, session: Session, task: TaskContext) -> Session:
        """Return the session with its container and notes, which are not stored yet.

        A crash loses nothing, because labels on the container name its session. The clone is made in a thread while
        the container is created: neither needs the other.
        """
        clone = self._repository.clone_of(session)
        if self._files.has_clone(clone.work_dir):
            return self._ensure_container(session, task)
        trashed_ids = {entry.name for entry in self._files.trash_entries()}
        if session.project_id in trashed_ids and not self._files.has_clone(clone.base):
            raise ConflictError(
                "The session's project is not restored from the trash yet", hint="Run relay reconcile to continue."
            )
        if session.id in trashed_ids:  # restored: its work is in the trash, so a new clone would lose it
            self._files.from_trash(session.id, clone.work_dir)
            return self._ensure_container(session, task)
        self._files.make_directory(clone.work_dir)
        cloning = _Promise(lambda: self._clone(session, task))
        try:
            session = self._ensure_container(session, SecondaryTaskContext(task, first=cloning.running))
        except RelayError:
            if not task.cancelled:
                cloning.result()  # an error of the clone is reported first; a finished clone stays for the retry
            raise
        finally:
            cloning.join()
        return replace(session, notes=(*session.notes, *cloning.result()))

    @with_step("Cloning")
    def _clone(self, session: Session, task: TaskContext) -> list[str]:
        project = self._repository.project_of(session)
        clone = self._repository.clone_of(session)
        new_branch = session.branch if session.branch != session.base_branch else ""
        notes = self._git.clone_session(
            clone.base,
            clone.work_dir,
            branch=session.base_branch,
            new_branch=new_branch,
            origin=project.source,
            task=task,
        )
        self._prepare_inspection(session)
        return notes

    def _prepare_inspection(self, session: Session) -> None:
        """Create the shadow repository before any program of the session has run.

        An error is only logged: the first inspection creates the shadow repository if it is missing.
        """
        try:
            self._inspector.prepare(self._repository.clone_of(session))
        except RelayError as error:
            log.warning("no shadow repository for %s yet: %s: %s", session.id, error.title, error.detail)

    def _ensure_container(self, session: Session, task: TaskContext) -> Session:
        if session.container_id:
            try:
                self._runtime.inspect(session.container_id)
            except NotFoundError:
                pass
            else:
                return session
        spec = self._drafts.spec_of(session, self._repository.project_of(session), self._git.identity())
        with with_step("Creating the container"):
            return replace(session, container_id=self._runtime.create(spec, task))

    # --- start ---

    def _start(self, created: Session) -> Session:
        """Start the container and store everything at once.

        Raises CommandFailedError if the command fails at once. A command that succeeds at once is no error.
        """
        self._runtime.start(created.container_id)
        if self._drafts.has_command(created):
            state = self._runtime.wait(created.container_id, STARTUP_SECONDS)
            if state.status != "running":
                excerpt = tail_excerpt(self._runtime, created.container_id)
                return self._store_started(created, exit_update(state, excerpt))
        return self._store_started(created, StateUpdate(SessionState.RUNNING))

    def _store_started(self, created: Session, update: StateUpdate) -> Session:
        session = self._repository.update(
            created.id,
            urgent=True,
            container_id=created.container_id,
            notes=created.notes,
            state=update.state,
            exit_code=update.exit_code,
            error_reason=update.reason,
        )
        if update.reason is not None and update.state is SessionState.ERROR:
            raise CommandFailedError(update.reason)
        return session


class _Promise:
    """The result of a call that runs in a thread."""

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
        """Return whether the call has not ended yet."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait until the call has ended."""
        self._thread.join()

    def result(self) -> list[str]:
        """Wait for the call; return its result or raise its error."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value
