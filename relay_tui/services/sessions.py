"""Sessions: create, start, stop, restart, retry, remove."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from relay_tui.config import Config
from relay_tui.errors import (
    CancelledError,
    ConflictError,
    EngineUnreachableError,
    Fault,
    ForeignFilesError,
    NoImageError,
    NotFoundError,
    RelayError,
    at_step,
)
from relay_tui.events import Bus, RecordsChanged
from relay_tui.model import Desired, Project, Records, Session, SessionState, now
from relay_tui.paths import DataDir
from relay_tui.services import names, observe
from relay_tui.services.claims import Claims
from relay_tui.services.clones import clone_of
from relay_tui.services.drafts import Drafts, NewSession
from relay_tui.services.last_words import last_words
from relay_tui.services.ports import Files, Git, Look, Runtime, Store, Transaction
from relay_tui.services.runtimes import PROCESS, of_kind
from relay_tui.services.watch import Behind, Watch

log = logging.getLogger(__name__)

SETTLING = 0.5  # seconds a command is given to fail before its session counts as running


class Sessions(Drafts):
    """The use cases about sessions. Thread-safe."""

    def __init__(
        self,
        *,
        store: Store,
        git: Git,
        look: Look,
        runtime: Runtime,
        files: Files,
        locks: Claims,
        bus: Bus,
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
        choice = self.settle(wanted)
        with self._locks.while_written(), self._store.transaction() as change:
            session = self.draft(wanted, change.records, heads, choice)
            self.put_claimed(session, change)
        self._bus.publish(RecordsChanged())
        return session

    def put_claimed(self, session: Session, change: Transaction) -> None:
        """Put a session on record that build() is to follow: no other relay may take it up in between."""
        self._locks.claim(session.id, "creating a session")
        change.put(session)

    def build(self, session_id: str, watch: Watch) -> Session:
        """Make of the session's record whatever is missing: its clone, its container, the container running."""
        with self._locks.hold(session_id, "creating a session"), self._on_row(session_id, watch):
            return self._make(self._begin(session_id), watch)

    def _begin(self, session_id: str, **changes: object) -> Session:
        """Put on record that the session is to run: whatever cuts us off, the next reconcile goes on with it."""
        return self._change(
            session_id,
            desired=Desired.RUNNING,
            state=SessionState.STARTING,
            error_reason=None,
            exit_code=None,
            **changes,
        )

    def _make(self, session: Session, watch: Watch) -> Session:
        made = self._clone_and_create(session, watch)
        watch.stage("Starting")
        try:
            with at_step("Starting"):
                return self._start(made)
        except RelayError:
            self._change(session.id, container_id=made.container_id, notes=made.notes)
            raise

    def _clone_and_create(self, session: Session, watch: Watch) -> Session:
        """The session with its container and notes, which are not on record yet: its labels name the container.

        The clone is made in a thread while the container is created: neither needs the other.
        """
        work_dir = Path(session.work_dir)
        if self._files.has_clone(work_dir):
            return self._ensure_container(session, watch)
        trash = {entry.name for entry in self._files.trash_entries()}
        if session.project_id in trash and not self._files.has_clone(self._data_dir.base(session.project_id)):
            raise ConflictError("Its project is not back from the trash yet", hint="relay reconcile goes on with it.")
        if session.id in trash:
            self._files.from_trash(session.id, work_dir)  # restored: its work comes back, never a fresh clone
            return self._ensure_container(session, watch)
        self._files.make_directory(work_dir)
        clone = _Promise(lambda: self._clone(session, watch))
        try:
            session = self._ensure_container(session, Behind(watch, first=clone.running))
        except RelayError:
            if not watch.cancelled:
                clone.result()  # the clone's own failure comes first; its success is kept for the retry
            raise
        finally:
            clone.join()
        return replace(session, notes=(*session.notes, *clone.result()))

    @at_step("Cloning")
    def _clone(self, session: Session, watch: Watch) -> list[str]:
        project = self._project(session.project_id)
        new_branch = session.branch if session.branch != session.base_branch else ""
        notes = self._git.clone_session(
            self._data_dir.base(project.id),
            Path(session.work_dir),
            branch=session.base_branch,
            new_branch=new_branch,
            origin=project.source,
            watch=watch,
        )
        self._prepare_look(session)
        return notes

    def _prepare_look(self, session: Session) -> None:
        """While nobody but us has touched the clone. What fails here is made good at the first look."""
        try:
            self._look.prepare(clone_of(session, self._data_dir))
        except RelayError as error:
            log.warning("no eye for %s yet: %s: %s", session.id, error.title, error.detail)

    def _ensure_container(self, session: Session, watch: Watch) -> Session:
        if session.container_id:
            try:
                self._runtime.inspect(session.container_id)
            except NotFoundError:
                pass
            else:
                return session
        spec = self._spec(session, self._project(session.project_id), self._git.identity())
        with at_step("Creating the container"):
            return replace(session, container_id=self._runtime.create(spec, watch))

    def _start(self, made: Session) -> Session:
        """Start what was made, and put all of it on record at once. A command that ends well at once is no failure."""
        self._runtime.start(made.container_id)
        profile = self._config.find_profile(made.profile)
        if profile.command:
            seen = self._runtime.wait(made.container_id, SETTLING)
            if seen.status != "running":
                return self._note(made, observe.ended(seen, self.last_words(made.container_id)))
        return self._note(made, observe.Update(SessionState.RUNNING))

    def last_words(self, container_id: str) -> str:
        """The last lines of a container's last run, whatever it is; '' if there are none to be had."""
        return last_words(self._runtime, container_id)

    def _note(self, made: Session, update: observe.Update) -> Session:
        session = self._change(
            made.id,
            container_id=made.container_id,
            notes=made.notes,
            state=update.state,
            exit_code=update.exit_code,
            error_reason=update.reason,
        )
        if update.reason is not None and update.state is SessionState.ERROR:
            raise observe.CommandFailedError(update.reason)
        return session

    # --- what can be done with one ---

    def start(self, session_id: str, watch: Watch) -> Session:
        """Start the session; whatever is missing is made first."""
        return self.build(session_id, watch)

    def stop(self, session_id: str, watch: Watch) -> Session:
        """Stop the session's container."""
        with self._locks.hold(session_id, "stopping a session"), self._on_row(session_id, watch):
            session = self._change(session_id, desired=Desired.STOPPED)
            watch.stage("Stopping")
            exit_code = None
            if session.container_id:
                try:
                    with at_step("Stopping"):
                        self._runtime.stop(session.container_id)
                        exit_code = self._runtime.inspect(session.container_id).exit_code
                except NotFoundError:
                    pass
            return self._change(session_id, state=SessionState.STOPPED, exit_code=exit_code, error_reason=None)

    def restart(self, session_id: str, watch: Watch) -> Session:
        """Stop the session's container and start it again."""
        with self._locks.hold(session_id, "restarting a session"), self._on_row(session_id, watch):
            session = self._begin(session_id)
            watch.stage("Stopping")
            if session.container_id:
                with suppress(NotFoundError), at_step("Stopping"):
                    self._runtime.stop(session.container_id)
            return self._make(session, watch)

    def retry(self, session_id: str, watch: Watch, *, image: str = "") -> Session:
        """Go on from the step that failed, with another image if one is given.

        The container is made anew, since the image or the profile may have been mended.
        """
        session = self._find(session_id)
        if session.desired is Desired.REMOVED:
            self.remove(session_id, watch)
            return session
        if image and session.runtime == PROCESS:
            hint = "Retry it without one, or create a session in a container{|: --runtime docker}."
            raise NoImageError(f"{session.name} is a process, which has no image", hint=hint)
        status = self._status(session)
        if status == "running":
            raise ConflictError(f"{session.name} is running", hint="There is nothing to retry; restart it instead.")
        if status == "paused" and not image:
            return self.start(session_id, watch)
        with self._locks.hold(session_id, "creating a session"), self._on_row(session_id, watch):
            begun = self._begin(session_id, container_id="", image=image or session.image)
            if session.container_id:
                self._runtime.remove(session.container_id)
            return self._make(begun, watch)

    def _status(self, session: Session) -> str:
        """How its container is now, whatever the row says; '' where there is none, or nobody knows."""
        try:
            return self._runtime.inspect(session.container_id).status if session.container_id else ""
        except (NotFoundError, EngineUnreachableError):
            return ""

    def remove(self, session_id: str, watch: Watch, *, last: bool = False, stamp: str = "") -> None:
        """Remove the container, move the clone to the trash, close the record (at `stamp`, or now).

        The last session of a project is refused with ConflictError unless `last` (the project goes with it).
        """
        with self._locks.hold(session_id, "removing a session"):
            session = self._mark_for_removal(session_id, last=last)
            with self._on_row(session_id, watch):
                watch.stage("Removing the container")
                with at_step("Removing the container"):
                    for container_id in self._containers_of(session):
                        self._runtime.remove(container_id)
                watch.stage("Moving the clone to the trash")
                with at_step("Moving the clone to the trash"):
                    self._to_trash(session)
                self._look.forget(clone_of(session, self._data_dir))
                self._change(session_id, deleted_at=stamp or now(), container_id="")

    def _to_trash(self, session: Session) -> None:
        work_dir = Path(session.work_dir)
        try:
            self._files.to_trash(work_dir, session.id)
        except ForeignFilesError:
            self._runtime.take_back(work_dir, session.image)
            self._files.to_trash(work_dir, session.id)

    def restore(self, session_id: str) -> Session:
        """Undo a removal: put the session back on record; build() brings its clone out of the trash."""
        with self._locks.while_written(), self._store.transaction() as change:
            session = change.records.sessions.get(session_id)
            if session is None:
                raise NotFoundError("That session was purged, or never was", session_id)
            if session.deleted_at is None:
                raise ConflictError(f"{session.name} is not removed", hint="There is nothing to restore.")
            project = change.records.projects.get(session.project_id)
            if project is None or project.deleted_at is not None:
                name = project.name if project else "its project"
                raise ConflictError(
                    f"{name} was removed with it",
                    hint=f"Restore the project, and its sessions come with it: relay project restore {name}.",
                )
            if not self._files.has_clone(Path(session.work_dir)) and session_id not in self._files.survey().trash:
                hint = f"Create a session on its branch: {session.branch}."
                raise NotFoundError(f"The clone of {session.name} is no longer in the trash", hint=hint)
            taken = [s.name for s in change.records.live_sessions(session.project_id)]
            session = undeleted(session, names.free_name(session.name, taken))
            self.put_claimed(session, change)
        self._bus.publish(RecordsChanged())
        return session

    def adopt_container(self, session_id: str, container_id: str) -> None:
        """Put a container on the record of the session it was made for."""
        self._change(session_id, container_id=container_id)

    def _containers_of(self, session: Session) -> list[str]:
        """The one on record, and any that a killed relay created without living to record it.

        Without an engine, a session that has none on record can go: a reconcile removes what it has after all.
        """
        try:
            seen = {
                seen.container_id
                for seen in of_kind(self._runtime, session.runtime).observe()
                if seen.session_id == session.id
            }
        except EngineUnreachableError:
            if session.container_id:
                raise
            return []
        return sorted(seen | {session.container_id} - {""})

    def check_removable(self, session_id: str) -> None:
        """Raise ConflictError when it is the last session of its project."""
        _removable(self._store.read(), session_id, last=False)

    def _mark_for_removal(self, session_id: str, *, last: bool) -> Session:
        with self._store.transaction() as change:
            session = _removable(change.records, session_id, last=last)
            session = replace(session, desired=Desired.REMOVED, state=SessionState.REMOVING, error_reason=None)
            change.put(session)
        self._bus.publish(RecordsChanged())
        return session

    # --- the record ---

    @contextmanager
    def _on_row(self, session_id: str, watch: Watch) -> Iterator[None]:
        """A failure within the block is written on the session's row, with the step that failed, and goes on up."""
        try:
            yield
        except observe.CommandFailedError as error:
            error.about = self._called(session_id)
            raise  # on the row already, with the exit code
        except CancelledError:
            if not watch.quitting:  # what a leaving relay began, the next one goes on with by itself
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
        return names.full_name(records, session) if session else ""

    def _write_fault(self, session_id: str, fault: Fault) -> None:
        """On the row, if that can be written; the fault itself goes on up all the same."""
        try:
            self._change(session_id, state=SessionState.ERROR, error_reason=fault)
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

    def _change(self, session_id: str, **changes: object) -> Session:
        with self._store.transaction() as change:
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


def _removable(records: Records, session_id: str, *, last: bool) -> Session:
    """The session, if it may be removed: a project keeps one, unless that is the last and the project goes too."""
    session = records.sessions.get(session_id)
    if session is None or session.deleted_at is not None:
        raise NotFoundError("That session is gone", session_id)
    staying = [
        s for s in records.live_sessions(session.project_id) if s.desired is not Desired.REMOVED and s.id != session_id
    ]
    if not last and not staying and session.desired is not Desired.REMOVED:
        project = records.projects[session.project_id]
        raise ConflictError(
            f"{session.name} is the last session of {project.name}",
            "A project keeps at least one session.",
            f"Remove the project instead{{ in its pane|}}: {{remove_project {project.name}}}.",
        )
    return session


def undeleted(session: Session, name: str) -> Session:
    """A removed session's record as it is put back: to be made and started again."""
    return replace(
        session,
        name=name,
        desired=Desired.RUNNING,
        state=SessionState.STARTING,
        container_id="",
        error_reason=None,
        exit_code=None,
        deleted_at=None,
        updated_at=now(),
    )


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
