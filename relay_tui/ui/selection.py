"""Selection: the project and session under the cursors, and what keys act on."""

from __future__ import annotations

from collections.abc import Callable

from relay_tui.domain.models import CloneState, Project, Session, SessionState
from relay_tui.ui.state import AppState

PANES = ("projects", "sessions", "detail")
"""Panes of the main screen from left to right."""


class Selection:
    """Selection on the main screen, read from the latest state and the cursors."""

    def __init__(
        self,
        state: Callable[[], AppState],
        *,
        project_key: Callable[[], str | None],
        session_key: Callable[[], str | None],
        focused_pane: Callable[[], str | None],
    ) -> None:
        """The callables return the latest state, the keys under both cursors, and the pane that has the focus."""
        self.marked: frozenset[str] = frozenset()
        """Identifiers of the marked sessions. Some of them may be gone."""
        self.listing = "sessions"
        """The list in which the user selected last. The detail pane shows its selection."""
        self._state = state
        self._project_key = project_key
        self._session_key = session_key
        self._focused_pane = focused_pane

    @property
    def pane(self) -> str:
        """The pane that has the focus; while nothing has it, the list in which the user selected last."""
        return self._focused_pane() or self.listing

    @property
    def project(self) -> Project | None:
        """The project under the cursor; None on the row of all projects."""
        return self._state().project(self._project_key())

    @property
    def session(self) -> Session | None:
        """The session under the cursor."""
        return self._state().session(self._session_key())

    @property
    def subject(self) -> Project | Session | None:
        """The project or session that the detail pane is about.

        The focus itself decides, not the message about it: a key may come before that message.
        """
        pane = self.pane
        return self.project if (self.listing if pane == "detail" else pane) == "projects" else self.session

    @property
    def target(self) -> Session | None:
        """The session that session keys act on: the one under the cursor, unless the detail shows a project."""
        return None if self.pane == "detail" and self.listing == "projects" else self.session

    @property
    def fetch_target(self) -> Project | None:
        """The cloned project that a fetch updates: the subject or the subject's project."""
        subject = self.subject
        project = self._state().project(subject.project_id) if isinstance(subject, Session) else subject
        return project if project is not None and project.clone_state is CloneState.READY else None

    # --- conditions of handlers ---

    def has_subject(self) -> bool:
        """Return whether the detail pane is about a project or a session."""
        return self.subject is not None

    def has_session(self) -> bool:
        """Return whether there is a session to act on."""
        return self.target is not None

    def has_running_session(self) -> bool:
        """Return whether the session to act on runs."""
        session = self.target
        return session is not None and session.state is SessionState.RUNNING

    def has_cloned_project(self) -> bool:
        """Return whether there is a project to fetch."""
        return self.fetch_target is not None

    def has_failed(self) -> bool:
        """Return whether the subject failed."""
        subject = self.subject
        if isinstance(subject, Session):
            return subject.error_reason is not None
        return subject is not None and subject.clone_error is not None

    def is_idle(self) -> bool:
        """Return whether no job runs for the subject."""
        subject = self.subject
        return subject is None or subject.id not in self._state().jobs

    def has_cancellable_job(self) -> bool:
        """Return whether the subject has a job that can be cancelled."""
        subject = self.subject
        job = self._state().jobs.get(subject.id) if subject is not None else None
        return job is not None and job.cancellable

    # --- changes ---

    def toggle_mark(self, session: Session) -> None:
        """Mark the session for the merged log, or remove its mark."""
        self.marked = self.marked ^ {session.id}
