"""Project actions: add a project, edit the source of one whose clone failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relay_tui.domain.models import CloneState, Project
from relay_tui.ui.controllers.base import Controller, ControllerContext
from relay_tui.ui.keys.dispatch import Handler


class ProjectController(Controller):
    """Opens the dialogs about a project's repository."""

    def __init__(self, context: ControllerContext, is_searching: Callable[[], bool]) -> None:
        """`is_searching` returns whether the key of a new project goes to the previous match of a log instead."""
        super().__init__(context)
        self._is_searching = is_searching

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        return {
            "new_project": Handler(self.create, offered_when=lambda: not self._is_searching()),
            "edit_source": Handler(self.edit_source, offered_when=self._can_edit_source),
        }

    def create(self) -> None:
        """Open the dialog for a new project."""
        from relay_tui.ui.dialogs.new_project import NewProjectForm  # the first paint needs no dialog

        self.context.ask(NewProjectForm(self.context.relay), self._created)

    def _created(self, record_id: str | None) -> None:
        if record_id:
            self.context.view.show_latest(record_id)

    def edit_source(self) -> None:
        """Edit the source of a project whose clone failed, and clone again."""
        relay, project = self.context.relay, self.context.selection.project
        if project is None or project.clone_state is CloneState.READY:
            self.context.notify("Select a project whose clone failed to edit its source.", severity="warning")
            return

        def clone_again(source: str | None) -> None:
            if source:
                self.context.run(lambda: relay.retry_project(project, source))

        from relay_tui.ui.dialogs.new_project import EditSourceDialog  # the first paint needs no dialog

        self.context.ask(EditSourceDialog(relay, project), clone_again)

    def _can_edit_source(self) -> bool:
        selection = self.context.selection
        return isinstance(selection.subject, Project) and selection.has_failed()
