"""Session actions: create, start, stop, restart, retry, cancel, undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relay_tui.domain.models import CloneState, Project, Session, SessionState
from relay_tui.text.sanitize import clean
from relay_tui.ui.controllers.base import Controller, ControllerContext
from relay_tui.ui.controllers.project import ProjectController
from relay_tui.ui.keys.dispatch import Handler


class SessionController(Controller):
    """Creates sessions and runs what changes their state."""

    def __init__(
        self, context: ControllerContext, projects: ProjectController, is_searching: Callable[[], bool]
    ) -> None:
        """`is_searching` returns whether the key of a new session goes to the next match of a log instead."""
        super().__init__(context)
        self._projects = projects
        self._is_searching = is_searching

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        selection = self.context.selection
        return {
            "new_session": Handler(self.create, offered_when=self._can_create),
            "stop_start": Handler(self.stop_or_start, requires=selection.has_session),
            "restart": Handler(self.restart, requires=selection.has_session),
            "retry": Handler(self.retry, requires=selection.has_subject, offered_when=self._can_retry),
            "cancel": Handler(self.cancel, offered_when=selection.has_cancellable_job),
            "undo": Handler(self.undo, offered_when=self._can_undo),
        }

    def create(self) -> None:
        """Open the dialog for a new session in the selected project; without any project, the one for a project."""
        context = self.context
        live, session = context.state().records.live_projects(), context.selection.session
        project = context.selection.project or (context.state().project(session.project_id) if session else None)
        if project is None and len(live) == 1:
            project = live[0]
        if project is None and not live:
            self._projects.create()
        elif project is None:
            context.notify("Choose a project first.", severity="warning")
        elif project.clone_state is not CloneState.READY:
            context.notify(f"{clean(project.name)} is not cloned yet.", severity="warning", markup=False)
        else:
            from relay_tui.ui.dialogs.new_session import NewSessionDialog  # the first paint needs no dialog

            context.ask(NewSessionDialog(context.relay, project), self._created)

    def _can_create(self) -> bool:
        return bool(self.context.state().records.live_projects()) and not self._is_searching()

    def _created(self, record_id: str | None) -> None:
        if record_id:
            self.context.view.show_latest(record_id)

    def stop_or_start(self) -> None:
        """Stop a running session, start any other."""
        relay, session = self.context.relay, self.context.selection.target
        if session is not None:
            call = relay.stop_session if session.state is SessionState.RUNNING else relay.start_session
            self.context.run(lambda: call(session))

    def restart(self) -> None:
        """Stop and start the session."""
        relay, session = self.context.relay, self.context.selection.target
        if session is not None:
            self.context.run(lambda: relay.restart_session(session))

    def retry(self) -> None:
        """Retry the step that failed."""
        relay, subject = self.context.relay, self.context.selection.subject
        if isinstance(subject, Project):
            self.context.run(lambda: relay.retry_project(subject))
        elif isinstance(subject, Session):
            self.context.run(lambda: relay.retry_session(subject))

    def _can_retry(self) -> bool:
        selection = self.context.selection
        return selection.has_failed() and selection.is_idle()

    def cancel(self) -> None:
        """Cancel the job of the subject, or else of the session's project.

        The running jobs decide, not the latest state: a job may have started since.
        """
        subject, jobs = self.context.selection.subject, self.context.relay.jobs
        candidates = [subject.id] if subject else []
        if isinstance(subject, Session):
            candidates.append(subject.project_id)
        if not any(jobs.cancel(candidate) for candidate in candidates):
            self.context.notify("Nothing to cancel here.")

    def undo(self) -> None:
        """Restore the session or project that was removed last."""
        self.context.run(self.context.relay.undo)

    def _can_undo(self) -> bool:
        return self.context.state().records.removed_last() is not None
