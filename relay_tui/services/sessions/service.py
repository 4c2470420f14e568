"""Use cases about sessions: create, start, stop, restart, retry, remove, restore."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from relay_tui.domain.errors import (
    ConflictError,
    EngineUnreachableError,
    ForeignFilesError,
    NoImageError,
    NotFoundError,
    with_step,
)
from relay_tui.domain.models import DesiredState, Records, Session, SessionState, now
from relay_tui.ports import CloneInspector, Files, Runtime, Transaction
from relay_tui.ports.task import TaskContext
from relay_tui.services import naming
from relay_tui.services.operation_locks import OperationLocks
from relay_tui.services.runtime_router import PROCESS, runtime_for_kind
from relay_tui.services.sessions.builder import SessionBuilder
from relay_tui.services.sessions.drafts import NewSession
from relay_tui.services.sessions.repository import SessionRepository, live_session


class SessionService:
    """Use cases about sessions. Thread-safe."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        builder: SessionBuilder,
        inspector: CloneInspector,
        runtime: Runtime,
        files: Files,
        locks: OperationLocks,
    ) -> None:
        self._repository = repository
        self._builder = builder
        self._inspector = inspector
        self._runtime = runtime
        self._files = files
        self._locks = locks

    # --- create and start ---

    def register(self, wanted: NewSession) -> Session:
        """Store the session's record without creating anything yet. Raises as SessionBuilder.register() does."""
        return self._builder.register(wanted)

    def put_claimed(self, session: Session, change: Transaction) -> None:
        """Store a session that build() is to follow, with its lock claimed for build()."""
        self._builder.put_claimed(session, change)

    def build(self, session_id: str, task: TaskContext) -> Session:
        """Create the missing parts of the session (clone, container), and start it."""
        return self._builder.build(session_id, task)

    def start(self, session_id: str, task: TaskContext) -> Session:
        """Start the session; missing parts are created first."""
        return self._builder.build(session_id, task)

    def stop(self, session_id: str, task: TaskContext) -> Session:
        """Stop the session's container."""
        with self._locks.hold(session_id, "stopping a session"), self._repository.run_on_row(session_id, task):
            session = self._repository.update(session_id, urgent=True, desired=DesiredState.STOPPED)
            task.report("Stopping")
            exit_code = None
            if session.container_id:
                try:
                    with with_step("Stopping"):
                        self._runtime.stop(session.container_id)
                        exit_code = self._runtime.inspect(session.container_id).exit_code
                except NotFoundError:
                    pass
            return self._repository.update(
                session_id, urgent=True, state=SessionState.STOPPED, exit_code=exit_code, error_reason=None
            )

    def restart(self, session_id: str, task: TaskContext) -> Session:
        """Stop the session's container and start it again."""
        with self._locks.hold(session_id, "restarting a session"), self._repository.run_on_row(session_id, task):
            session = self._builder.mark_starting(session_id, urgent=True)
            task.report("Stopping")
            if session.container_id:
                with suppress(NotFoundError), with_step("Stopping"):
                    self._runtime.stop(session.container_id)
            return self._builder.build_locked(session, task)

    def retry(self, session_id: str, task: TaskContext, *, image: str = "") -> Session:
        """Continue from the step that failed, with another image if one is given.

        The container is created again, because the image or the profile may have been fixed.
        Raises NoImageError if an image is given for a process, ConflictError if the session is running.
        """
        session = self._repository.find(session_id)
        if session.desired is DesiredState.REMOVED:
            self.remove(session_id, task)
            return session
        if image and session.runtime == PROCESS:
            hint = "Retry it without an image, or create a session in a container{|: --runtime docker}."
            raise NoImageError(f"{session.name} is a process, which has no image", hint=hint)
        status = self._container_status(session)
        if status == "running":
            raise ConflictError(f"{session.name} is running", hint="There is nothing to retry; restart it instead.")
        if status == "paused" and not image:
            return self.start(session_id, task)
        with self._locks.hold(session_id, "creating a session"), self._repository.run_on_row(session_id, task):
            starting = self._builder.mark_starting(session_id, container_id="", image=image or session.image)
            if session.container_id:
                self._runtime.remove(session.container_id)
            return self._builder.build_locked(starting, task)

    def _container_status(self, session: Session) -> str:
        """Return the status that the runtime reports now; '' without a container or if the engine is unreachable."""
        try:
            return self._runtime.inspect(session.container_id).status if session.container_id else ""
        except (NotFoundError, EngineUnreachableError):
            return ""

    def adopt_container(self, session_id: str, container_id: str) -> None:
        """Store a container in the record of the session that it was created for."""
        self._repository.update(session_id, container_id=container_id)

    # --- remove and restore ---

    def check_removable(self, session_id: str) -> None:
        """Raise ConflictError if the session is the last one of its project."""
        _removable_session(self._repository.read(), session_id, allow_last=False)

    def remove(self, session_id: str, task: TaskContext, *, last: bool = False, stamp: str = "") -> None:
        """Remove the container, move the clone to the trash, mark the record as deleted (at `stamp`, or now).

        Raises ConflictError for the last session of a project, unless `last` is set: the project is removed with it.
        """
        with self._locks.hold(session_id, "removing a session"):
            session = self._mark_for_removal(session_id, last=last)
            with self._repository.run_on_row(session_id, task):
                task.report("Removing the container")
                with with_step("Removing the container"):
                    for container_id in self._containers_of(session):
                        self._runtime.remove(container_id)
                task.report("Moving the clone to the trash")
                with with_step("Moving the clone to the trash"):
                    self._move_to_trash(session)
                self._inspector.forget(self._repository.clone_of(session))
                self._repository.update(session_id, urgent=True, deleted_at=stamp or now(), container_id="")

    def restore(self, session_id: str) -> Session:
        """Undo a removal: store the session again; build() moves its clone out of the trash.

        Raises NotFoundError if the record or the clone was purged, ConflictError if the session is not removed or its
        project is.
        """
        with self._locks.while_written(), self._repository.transaction() as change:
            session = change.records.sessions.get(session_id)
            if session is None:
                raise NotFoundError("That session was purged, or never existed", session_id)
            if session.deleted_at is None:
                raise ConflictError(f"{session.name} is not removed", hint="There is nothing to restore.")
            project = change.records.projects.get(session.project_id)
            if project is None or project.deleted_at is not None:
                name = project.name if project else "its project"
                raise ConflictError(
                    f"{name} was removed with the session",
                    hint=f"Restore the project together with its sessions: relay project restore {name}.",
                )
            if not self._files.has_clone(Path(session.work_dir)) and session_id not in self._files.survey().trash:
                hint = f"Create a session on its branch: {session.branch}."
                raise NotFoundError(f"The clone of {session.name} is no longer in the trash", hint=hint)
            taken = [s.name for s in change.records.live_sessions(session.project_id)]
            session = undeleted(session, naming.unique_name(session.name, taken))
            self.put_claimed(session, change)
        return session

    def _mark_for_removal(self, session_id: str, *, last: bool) -> Session:
        with self._repository.transaction(urgent=True) as change:
            session = _removable_session(change.records, session_id, allow_last=last)
            session = replace(session, desired=DesiredState.REMOVED, state=SessionState.REMOVING, error_reason=None)
            change.put(session)
        return session

    def _containers_of(self, session: Session) -> list[str]:
        """Return the ids of the recorded container and of those that a killed relay created without recording them.

        If the engine is unreachable, a session without a recorded container can still be removed: a later reconcile
        removes any container that it has.
        """
        try:
            found = {
                container.container_id
                for container in runtime_for_kind(self._runtime, session.runtime).list_containers()
                if container.session_id == session.id
            }
        except EngineUnreachableError:
            if session.container_id:
                raise
            return []
        return sorted(found | {session.container_id} - {""})

    def _move_to_trash(self, session: Session) -> None:
        work_dir = Path(session.work_dir)
        try:
            self._files.to_trash(work_dir, session.id)
        except ForeignFilesError:
            self._runtime.reclaim_ownership(work_dir, session.image)
            self._files.to_trash(work_dir, session.id)


def _removable_session(records: Records, session_id: str, *, allow_last: bool) -> Session:
    """Return the session. Raises ConflictError if it is the last one of its project, unless `allow_last`."""
    session = live_session(records, session_id)
    others = [
        s
        for s in records.live_sessions(session.project_id)
        if s.desired is not DesiredState.REMOVED and s.id != session_id
    ]
    if not allow_last and not others and session.desired is not DesiredState.REMOVED:
        project = records.projects[session.project_id]
        raise ConflictError(
            f"{session.name} is the last session of {project.name}",
            "A project keeps at least one session.",
            f"Remove the project instead{{ in its pane|}}: {{remove_project {project.name}}}.",
        )
    return session


def undeleted(session: Session, name: str) -> Session:
    """Return a removed session's record as it is restored: to be built and started again."""
    return replace(
        session,
        name=name,
        desired=DesiredState.RUNNING,
        state=SessionState.STARTING,
        container_id="",
        error_reason=None,
        exit_code=None,
        deleted_at=None,
        updated_at=now(),
    )
