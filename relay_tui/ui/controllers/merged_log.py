"""Merged-log actions: mark sessions, show the logs of several sessions as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from relay_tui.domain.models import Records, Session
from relay_tui.services import naming
from relay_tui.ui.controllers.base import Controller
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.presentation.formatting import ASCII
from relay_tui.ui.widgets.table.table import KeyedTable

if TYPE_CHECKING:  # the first paint needs none of it
    from relay_tui.ui.log.merged_screen import MergedLogScreen

_WIDE = 110  # columns of a screen from which session names get more room
NamedSessions = list[tuple[Session, str]]
"""Sessions, each with its name in the merged log."""


class MergedLogController(Controller):
    """Marks rows, and keeps an open merged log up to date."""

    _screen: MergedLogScreen | None = None
    _sessions_of: Callable[[Records], NamedSessions]

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        return {
            "mark": Handler(self.toggle_mark, requires=self.context.selection.has_session),
            "merged_log": Handler(self.open),
        }

    def toggle_mark(self) -> None:
        """Mark the session under the cursor or remove its mark, then move to the next row."""
        session = self.context.selection.session
        if session is None:
            return
        self.context.selection.toggle_mark(session)
        self.context.view.draw_sessions()
        focused = self.context.view.focused
        if isinstance(focused, KeyedTable):
            focused.action_cursor_down()

    def open(self) -> None:
        """Show the merged log of the marked sessions, else of the selected project, else of all projects."""
        selection, records = self.context.selection, self.context.state().records
        subject, project = selection.subject, selection.project
        marked = selection.marked & {session.id for session in records.live_sessions()}
        if isinstance(subject, Session):
            project = records.projects.get(subject.project_id)
        if marked:
            self._open("marked sessions", partial(_marked_sessions, marked))
        elif project is not None:
            self._open(project.name, partial(_project_sessions, project.id))
        else:
            self._open("all projects", partial(_project_sessions, None))

    def _open(self, title: str, sessions_of: Callable[[Records], NamedSessions]) -> None:
        from relay_tui.services.logs.source import LogSource
        from relay_tui.ui.log.merged_screen import MergedLogScreen
        from relay_tui.ui.log.model.buffer import LogBuffer
        from relay_tui.ui.log.source_labels import NARROW, WIDEST, SourceLabels

        context = self.context
        sessions = sessions_of(context.state().records)
        if not any(session.container_id for session, _ in sessions):
            context.notify("None of these sessions has a log yet.", severity="warning")
            return
        config, width = context.relay.config, context.view.app.size.width
        self._screen = MergedLogScreen(
            LogSource(context.relay.runtime),
            title,
            sessions,
            LogBuffer(config.log_lines, config.log_bytes),
            context.relay.files.save_log,
            names=SourceLabels(WIDEST if width >= _WIDE else NARROW, ascii=context.glyphs is ASCII),
            glyphs=context.glyphs,
        )
        self._sessions_of = sessions_of
        context.ask(self._screen, self._closed)

    def _closed(self, _: None) -> None:
        self._screen = None

    def follow(self, engine_epoch: int) -> None:
        """Pass sessions that were added, removed or restarted on to an open merged log.

        `engine_epoch` counts how often the engine became reachable.
        """
        if self._screen is not None:
            state = self.context.state()
            self._screen.follow(self._sessions_of(state.records), engine_epoch, state.stirs)


def _marked_sessions(marked: frozenset[str], records: Records) -> NamedSessions:
    sessions = [session for session in records.live_sessions() if session.id in marked]
    if len({session.project_id for session in sessions}) == 1:
        return [(session, session.name) for session in sessions]
    return [(session, naming.full_name(records, session)) for session in sessions]


def _project_sessions(project_id: str | None, records: Records) -> NamedSessions:
    sessions = records.live_sessions(project_id)
    return [(session, session.name if project_id else naming.full_name(records, session)) for session in sessions]
