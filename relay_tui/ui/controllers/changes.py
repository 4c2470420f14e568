"""Changes actions: move in the changed files, copy, edit, refresh."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from relay_tui.domain.errors import RelayError
from relay_tui.ui.changes.external_editor import edit, editor_command, resolve_in_clone
from relay_tui.ui.controllers.base import Controller, ControllerContext
from relay_tui.ui.controllers.terminal import TerminalController
from relay_tui.ui.keys.dispatch import Handler


class ChangesController(Controller):
    """Passes the keys of the Changes tab on to it."""

    def __init__(self, context: ControllerContext, terminal: TerminalController) -> None:
        super().__init__(context)
        self._terminal = terminal

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name. The tab is mounted after the first paint, so none of them holds it."""
        view = self.context.view
        return {
            "refresh": Handler(self.refresh, requires=self.context.selection.has_session),
            "next_file": Handler(lambda: view.detail.changes.jump_file(1)),
            "previous_file": Handler(lambda: view.detail.changes.jump_file(-1)),
            "next_hunk": Handler(lambda: view.detail.changes.jump_hunk(1)),
            "previous_hunk": Handler(lambda: view.detail.changes.jump_hunk(-1)),
            "compare": Handler(lambda: view.detail.changes.compare_with_next()),
            "copy_hunk": Handler(lambda: view.detail.changes.copy_hunk()),
            "copy_path": Handler(lambda: view.detail.changes.copy_path()),
            "edit_file": Handler(self.edit_file),
        }

    def refresh(self) -> None:
        """Read the git status and the changes of the session's clone again."""
        session = self.context.selection.target
        if session is not None:
            self.context.relay.clone_status.request(session.id)
            self.context.view.detail.changes.look_again()

    def edit_file(self) -> None:
        """Hand the terminal over to the user's editor with the selected file."""
        changes = self.context.view.detail.changes
        session, path = changes.session, changes.path
        if session is None or not path:
            self.context.notify("Choose a file first.", severity="warning")
            return
        try:
            command = editor_command(os.environ, resolve_in_clone(Path(session.work_dir), path))
        except RelayError as error:
            self.context.notify_error(error.fault)
            return
        self._terminal.suspend_for(lambda: edit(command))
        self.refresh()
