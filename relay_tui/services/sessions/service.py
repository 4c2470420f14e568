"""Sessions: create, start, stop, restart, retry, remove."""

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
from relay_tui.domain.events import RecordsChanged
from relay_tui.domain.models import DesiredState, Records, Session, SessionState, now
from relay_tui.ports.task import TaskContext
from relay_tui.services import naming
from relay_tui.services.runtime_router import PROCESS, runtime_for_kind
from relay_tui.services.sessions.builder import SessionBuilder
from relay_tui.services.sessions.repository import clone_of


class SessionService(SessionBuilder):
    """The use cases about sessions. Thread-safe."""

    def start(self, session_id: str, task: TaskContext) -> Session:
        """Start the session; whatever is missing is made first."""
        return self.build(session_id, task)

    def stop(self, session_id: str, task: TaskContext) -> Session:
        """Stop the session's container."""
        with self._locks.hold(session_id, "stopping a session"), self._on_row(session_id, task):
            session = self._change(session_id, urgent=True, desired=DesiredState.STOPPED)
            task.report("Stopping")
            exit_code = None
            if session.container_id:
                try:
                    with with_step("Stopping"):
                        self._runtime.stop(session.container_id)
                        exit_code = self._runtime.inspect(session.container_id).exit_code
                except NotFoundError:
                    pass
            return self._change(
                session_id, urgent=True, state=SessionState.STOPPED, exit_code=exit_code, error_reason=None
            )

    def restart(self, session_id: str, task: TaskContext) -> Session:
        """Stop the session's container and start it again."""
        with self._locks.hold(session_id, "restarting a session"), self._on_row(session_id, task):
            session = self._begin(session_id, urgent=True)
            task.report("Stopping")
            if session.container_id:
                with suppress(NotFoundError), with_step("Stopping"):
                    self._runtime.stop(session.container_id)
            return self._make(session, task)

    def retry(self, session_id: str, task: TaskContext, *, image: str = "") -> Session:
        """Go on from the step that failed, with another image if one is given.

        The container is made anew, since the image or the profile may have been mended.
        """
        session = self._find(session_id)
        if session.desired is DesiredState.REMOVED:
            self.remove(session_id, task)
            return session
        if image and session.runtime == PROCESS:
            hint = "Retry it without one, or create a session in a container{|: --runtime docker}."
            raise NoImageError(f"{session.name} is a process, which has no image", hint=hint)
        status = self._status(session)
        if status == "running":
            raise ConflictError(f"{session.name} is running", hint="There is nothing to retry; restart it instead.")
        if status == "paused" and not image:
            return self.start(session_id, task)
        with self._locks.hold(session_id, "creating a session"), self._on_row(session_id, task):
            begun = self._begin(session_id, container_id="", image=image or session.image)
            if session.container_id:
                self._runtime.remove(session.container_id)
            return self._make(begun, task)

    def _status(self, session: Session) -> str:
        """How its container is now, whatever the row says; '' where there is none, or nobody knows."""
        try:
            return self._runtime.inspect(session.container_id).status if session.container_id else ""
        except (NotFoundError, EngineUnreachableError):
            return ""

    def remove(self, session_id: str, task: TaskContext, *, last: bool = False, stamp: str = "") -> None:
        """Remove the container, move the clone to the trash, close the record (at `stamp`, or now).

        The last session of a project is refused with ConflictError unless `last` (the project goes with it).
        """
        with self._locks.hold(session_id, "removing a session"):
            session = self._mark_for_removal(session_id, last=last)
            with self._on_row(session_id, task):
                task.report("Removing the container")
                with with_step("Removing the container"):
                    for container_id in self._containers_of(session):
                        self._runtime.remove(container_id)
                task.report("Moving the clone to the trash")
                with with_step("Moving the clone to the trash"):
                    self._to_trash(session)
                self._look.forget(clone_of(session, self._data_dir))
                self._change(session_id, urgent=True, deleted_at=stamp or now(), container_id="")

    def _to_trash(self, session: Session) -> None:
        work_dir = Path(session.work_dir)
        try:
            self._files.to_trash(work_dir, session.id)
        except ForeignFilesError:
            self._runtime.reclaim_ownership(work_dir, session.image)
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
            session = undeleted(session, naming.unique_name(session.name, taken))
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
                for seen in runtime_for_kind(self._runtime, session.runtime).list_containers()
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
        with self._store.transaction(urgent=True) as change:
            session = _removable(change.records, session_id, last=last)
            session = replace(session, desired=DesiredState.REMOVED, state=SessionState.REMOVING, error_reason=None)
            change.put(session)
        self._bus.publish(RecordsChanged())
        return session


def _removable(records: Records, session_id: str, *, last: bool) -> Session:
    """The session, if it may be removed: a project keeps one, unless that is the last and the project goes too."""
    session = records.sessions.get(session_id)
    if session is None or session.deleted_at is not None:
        raise NotFoundError("That session is gone", session_id)
    staying = [
        s
        for s in records.live_sessions(session.project_id)
        if s.desired is not DesiredState.REMOVED and s.id != session_id
    ]
    if not last and not staying and session.desired is not DesiredState.REMOVED:
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
        desired=DesiredState.RUNNING,
        state=SessionState.STARTING,
        container_id="",
        error_reason=None,
        exit_code=None,
        deleted_at=None,
        updated_at=now(),
    )
