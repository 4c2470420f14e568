"""Marked sessions, and their logs as one."""

from __future__ import annotations

from relay_tui.model import Project, Session
from relay_tui.services import names
from relay_tui.services.log_source import LogSource
from relay_tui.ui.log_buffer import LogBuffer
from relay_tui.ui.meters import Metered
from relay_tui.ui.row_table import RowTable


class Joint(Metered):
    """Marks rows, and opens one log of the marked sessions, of a project's, or of all that are listed."""

    def action_mark(self) -> None:
        """Mark the session under the cursor, or take its mark away; on to the next."""
        session = self.session
        if session is None:
            return
        self.marked = self.marked ^ {session.id}
        self._draw_sessions()
        if isinstance(self.focused, RowTable):
            self.focused.action_cursor_down()

    def action_joint_log(self) -> None:
        """Open one log of several sessions."""
        from relay_tui.services.joint_feed import Voice  # the first paint needs neither
        from relay_tui.ui.screens.joint_log import JointLog

        records, project = self.world.records, self.project
        subject = self.subject
        if chosen := [s for s in records.live_sessions() if s.id in self.marked]:
            title = "marked sessions"
        else:
            if isinstance(subject, Session):
                project = records.projects.get(subject.project_id)
            chosen = records.live_sessions(project.id if project is not None else None)
            title = project.name if isinstance(project, Project) else "all projects"
        one = len({s.project_id for s in chosen}) == 1
        voices = [
            Voice(s.id, s.name if one else names.full_name(records, s), s.container_id)
            for s in sorted(chosen, key=lambda s: s.state != "running")
            if s.container_id
        ]
        if not voices:
            self.notify("None of these sessions has a log yet.", severity="warning")
            return
        buffer = LogBuffer(self.relay.config.log_lines, self.relay.config.log_bytes)
        source, save = LogSource(self.relay.runtime), self.relay.files.save_log
        self.app.push_screen(JointLog(source, title, voices, buffer, save, glyphs=self.glyphs))
