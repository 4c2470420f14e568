"""Marked sessions, and their logs as one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from relay_tui.domain.models import Records, Session
from relay_tui.services import naming
from relay_tui.ui.controllers.stats import StatsController
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.presentation.formatting import ASCII
from relay_tui.ui.widgets.table.table import KeyedTable

if TYPE_CHECKING:  # the first paint needs none of it
    from relay_tui.ui.log.merged_screen import MergedLogScreen

_WIDE = 110  # columns of a screen on which names have more room
Named = list[tuple[Session, str]]
"""Sessions, each with what it is called in the log."""


class MergedLogController(StatsController):
    """Marks rows, and opens one log of the marked sessions, of a project's, or of all that are listed."""

    _joint: MergedLogScreen | None = None
    _wanted_voices: Callable[[Records], Named]

    def action_mark(self) -> None:
        """Mark the session under the cursor, or take its mark away; on to the next."""
        session = self.session
        if session is None:
            return
        self.marked = self.marked ^ {session.id}
        self._draw_sessions()
        if isinstance(self.focused, KeyedTable):
            self.focused.action_cursor_down()

    def action_joint_log(self) -> None:
        """Open one log of several sessions."""
        subject, records, project = self.subject, self.world.records, self.project
        marked = self.marked & {session.id for session in records.live_sessions()}
        if isinstance(subject, Session):
            project = records.projects.get(subject.project_id)
        if marked:
            self._open_joint_log("marked sessions", partial(_marked, marked))
        elif project is not None:
            self._open_joint_log(project.name, partial(_project_s, project.id))
        else:
            self._open_joint_log("all projects", partial(_project_s, None))

    def _open_joint_log(self, title: str, wanted: Callable[[Records], Named]) -> None:
        from relay_tui.services.logs.source import LogSource
        from relay_tui.ui.log.merged_screen import MergedLogScreen
        from relay_tui.ui.log.source_labels import NARROW, WIDEST, SourceLabels

        sessions = wanted(self.world.records)
        if not any(session.container_id for session, _ in sessions):
            self.notify("None of these sessions has a log yet.", severity="warning")
            return
        config = self.relay.config
        self._joint = MergedLogScreen(
            LogSource(self.relay.runtime),
            title,
            sessions,
            LogBuffer(config.log_lines, config.log_bytes),
            self.relay.files.save_log,
            names=SourceLabels(WIDEST if self.app.size.width >= _WIDE else NARROW, ascii=self.glyphs is ASCII),
            glyphs=self.glyphs,
        )
        self._wanted_voices = wanted
        self.app.push_screen(self._joint, self._joint_log_left)

    def _joint_log_left(self, _: None) -> None:
        self._joint = None

    def draw(self) -> None:
        """Whoever joined, went or runs again is told to the log of several, too."""
        super().draw()
        if self._joint is not None:
            self._joint.follow(self._wanted_voices(self.world.records), self._engine_epoch, self.world.stirs)


def _marked(marked: frozenset[str], records: Records) -> Named:
    sessions = [session for session in records.live_sessions() if session.id in marked]
    if len({session.project_id for session in sessions}) == 1:
        return [(session, session.name) for session in sessions]
    return [(session, naming.full_name(records, session)) for session in sessions]


def _project_s(project_id: str | None, records: Records) -> Named:
    sessions = records.live_sessions(project_id)
    return [(session, session.name if project_id else naming.full_name(records, session)) for session in sessions]
