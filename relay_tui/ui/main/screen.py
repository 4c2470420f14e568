"""The main screen: what keys do. Each becomes one call of a service, made off the screen's thread.

What a key opens is imported with the key: the first paint needs none of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from relay_tui.domain.errors import ConflictError
from relay_tui.domain.models import CloneState, DesiredState, Project, Session, SessionState
from relay_tui.services import naming
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.controllers.sync import WorkKeys
from relay_tui.ui.event_bridge import JobFailed, OrphansReported, RecordRemoved, WarningRaised
from relay_tui.ui.keys.actions import ACTIONS, BY_NAME, TABS, L, key_of
from relay_tui.ui.log.log_keys import LogKeys
from relay_tui.ui.main.panes import PANES
from relay_tui.ui.presentation import formatting
from relay_tui.ui.state import build_state
from relay_tui.ui.widgets.hints_panel import HintsPanel

log = logging.getLogger(__name__)


class MainScreen(LogKeys, WorkKeys):
    """Delegates: a key press, a service call."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(a.keys, a.name, a.help, show=False, id=a.binding_id)
        for a in ACTIONS
        if a.name not in {"command_palette", "quit"} and L not in a.places
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A tab's own keys mean something only while it has the focus; else they are somebody else's."""
        del parameters
        found = BY_NAME.get(action)
        return found is None or not found.places or not found.places <= TABS or self.offered(found)

    # --- what services announce ---

    @on(JobFailed)
    def job_failed(self, message: JobFailed) -> None:
        """Most failures stand on their row; the rest, such as a full disk that took no row either, go in a toast."""
        if not message.on_row:
            self.notify_error(message.fault)

    @on(RecordRemoved)
    def record_removed(self, message: RecordRemoved) -> None:
        """What went can come back."""
        self.notify(f"Removed {clean(message.name)}. {key_of('undo')} brings it back.", markup=False)
        if message.warning:
            self.notify(message.warning, severity="warning", timeout=15, markup=False)

    @on(WarningRaised)
    def warned(self, message: WarningRaised) -> None:
        """What is mended is to be known all the same; Info has it for later."""
        self.notify(clean_block(message.words, lines=8), severity="warning", timeout=15, markup=False)

    @on(OrphansReported)
    def found(self, message: OrphansReported) -> None:
        """Nothing is done about strays unasked."""
        count = len(message.words)
        words = f"{count} found that no record knows. {key_of('strays')} says what, and adopts or removes."
        self.notify(words, severity="warning", timeout=15, markup=False)

    def action_strays(self) -> None:
        """Ask what is to become of what no record knows."""
        if self.world.strays:
            from relay_tui.ui.dialogs.orphans import OrphansDialog

            self.app.push_screen(OrphansDialog(self.world.strays), self._settle_strays)
        else:
            self.notify("Everything there is, is on record.")

    def _settle_strays(self, answer: str | None) -> None:
        if not answer:
            return

        def settle() -> None:
            for settled in self.relay.settle_strays(adopt=answer == "adopt"):
                if settled.error is not None:
                    raise settled.error

        self.perform(settle)

    def action_undo(self) -> None:
        """Bring back what was removed last."""
        self.perform(self.relay.undo)

    # --- projects and sessions ---

    def action_new_project(self) -> None:
        """Open the form for a new project."""
        from relay_tui.ui.dialogs.new_project import NewProjectForm

        self.app.push_screen(NewProjectForm(self.relay), self._select_soon)

    def action_new_session(self) -> None:
        """Open the form for a new session of the selected project, or of the selected session's."""
        live = self.world.records.live_projects()
        project = self.project or (self.world.project(self.session.project_id) if self.session else None)
        if project is None and len(live) == 1:
            project = live[0]
        if project is None and not live:
            self.action_new_project()
        elif project is None:
            self.notify("Choose a project first.", severity="warning")
        elif project.clone_state is not CloneState.READY:
            self.notify(f"{clean(project.name)} is not cloned yet.", severity="warning", markup=False)
        else:
            from relay_tui.ui.dialogs.new_session import NewSessionDialog

            self.app.push_screen(NewSessionDialog(self.relay, project), self._select_soon)

    def _select_soon(self, record_id: str | None) -> None:
        world = build_state(self.relay)
        if record_id and world.trouble is None:
            self.world = world
            self.draw()
            self.select(record_id)

    def action_stop_start(self) -> None:
        """Stop what runs; start what does not."""
        found = self.session_or_say()
        if found is None:
            return
        running = found.state is SessionState.RUNNING
        self.perform(lambda: (self.relay.stop_session if running else self.relay.start_session)(found))

    def action_restart(self) -> None:
        """Stop and start."""
        found = self.session_or_say()
        if found is not None:
            self.perform(lambda: self.relay.restart_session(found))

    def action_retry(self) -> None:
        """Go on from what failed."""
        subject = self.subject
        if isinstance(subject, Project):
            self.perform(lambda: self.relay.retry_project(subject))
        elif isinstance(subject, Session):
            self.perform(lambda: self.relay.retry_session(subject))

    def action_edit_source(self) -> None:
        """Edit the source of a project whose clone failed, and clone again."""
        found = self.project
        if found is None or found.clone_state is CloneState.READY:
            self.notify("Only a project whose clone failed can get another source.", severity="warning")
            return

        def again(source: str | None) -> None:
            if source:
                self.perform(lambda: self.relay.retry_project(found, source))

        from relay_tui.ui.dialogs.new_project import EditSourceDialog

        self.app.push_screen(EditSourceDialog(self.relay, found), again)

    def action_cancel(self) -> None:
        """Cancel what is under way for the subject, or else for the project it belongs to."""
        subject = self.subject
        candidates = [subject.id] if subject else []
        if isinstance(subject, Session):
            candidates.append(subject.project_id)
        if not any(self.relay.jobs.cancel(candidate) for candidate in candidates):
            self.notify("Nothing that can be cancelled is under way here.")

    def action_remove(self) -> None:
        """Ask, naming what goes; then remove."""
        subject = self.subject
        if isinstance(subject, Session):
            self._remove_session(subject)
        elif isinstance(subject, Project):
            self._remove_project(subject)

    def _remove_session(self, found: Session) -> None:
        siblings = [
            s for s in self.world.records.live_sessions(found.project_id) if s.desired is not DesiredState.REMOVED
        ]
        if siblings == [found]:
            project = self.world.project(found.project_id)
            name = project.name if project else "its project"
            self.notify_error(
                ConflictError(
                    f"{found.name} is the last session of {name}",
                    "A project keeps at least one session.",
                    "In the projects pane {remove_project} removes the project with it.",
                ).fault
            )
            return
        self.ask_to_remove(found, self._kept)

    def _remove_project(self, found: Project) -> None:
        sessions = self.world.records.live_sessions(found.id)
        containers = sum(bool(s.container_id) for s in sessions)
        listed = [f"{s.name} ({s.state}) on {s.branch}" for s in sessions]
        goes = [
            ("project", found.name),
            ("source", found.source),
            ("sessions", "\n".join([str(len(sessions)), *listed[:8], *(["…"] if len(listed) > 8 else [])])),
            ("containers", str(containers)),
            (
                "directories",
                f"{len(sessions) + 1}\n{self._kept}",
            ),
        ]

        def answered(answer: str | None) -> None:
            if answer == "remove":
                self.perform(lambda: self.relay.remove_project(found))

        guard = partial(self.relay.removal.guard_project, found.id)
        plain = self.glyphs is formatting.ASCII
        goes = [(label, clean_block(value)) for label, value in goes]
        from relay_tui.ui.dialogs.remove_session import RemoveSessionDialog

        self.app.push_screen(RemoveSessionDialog(f"Remove project {found.name}?", goes, guard, plain=plain), answered)

    @property
    def _kept(self) -> str:
        return (
            f"to {self.relay.data_dir.trash}, kept for {self.relay.config.trash_days:g} days; {key_of('undo')} undoes"
        )

    # --- terminals ---

    def action_attach(self) -> None:
        """Give the terminal to the session's main process."""
        found = self.session_or_say()
        if found is not None:
            self._lend_terminal(found, lambda: self.relay.runtime.attach(found.container_id))

    def action_shell(self) -> None:
        """Give the terminal to a shell in the session."""
        found = self.session_or_say()
        if found is not None:
            name = clean(naming.full_name(self.world.records, found))
            words = f"a shell in {name}; exit comes back to relay"
            self._lend_terminal(found, lambda: self.relay.runtime.run(found.container_id, ()), words)

    def _lend_terminal(self, found: Session, use: Callable[[], object], words: str = "") -> None:
        """Lend the terminal for something that needs the session's container to run."""
        if found.state is not SessionState.RUNNING:
            self.notify_error(
                ConflictError(
                    f"{found.name} is not running", hint="{start} starts it; {retry} goes on from what failed."
                ).fault
            )
            return
        self.suspend_for(use, words)

    # --- the screen itself ---

    def action_next_pane(self) -> None:
        """Focus the pane after this one."""
        self._focus_pane(1)

    def action_previous_pane(self) -> None:
        """Focus the pane before this one."""
        self._focus_pane(-1)

    def _focus_pane(self, step: int) -> None:
        index = max(0, min(len(PANES) - 1, PANES.index(self.place) + step))
        self._go(PANES[index])

    def _go(self, pane: str) -> None:
        if self.has_class("-zoom"):
            self._zoom(pane)
        if pane == "detail":
            self.detail.take_focus()
        else:
            self.set_focus(self.query_one(f"#{pane}"))

    def action_next_tab(self) -> None:
        """Show the detail's next tab."""
        self.detail.turn(1)

    def action_previous_tab(self) -> None:
        """Show the detail's tab before."""
        self.detail.turn(-1)

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or take it back."""
        self._zoom("" if self.has_class("-zoom") else self.place)

    def action_log_full(self) -> None:
        """Give the log the whole screen, or take it back."""
        self.action_zoom()

    def _zoom(self, pane: str) -> None:
        self.set_class(bool(pane), "-zoom")
        for name in PANES:
            self.set_class(pane == name, f"-zoom-{name}")
            self.query_one(f"#{name}").set_class(pane == name, "-zoomed")

    def action_filter(self) -> None:
        """Type what rows must contain."""
        self.open_filter()

    def action_back(self) -> None:
        """Leave the innermost thing: the filter, the search, the diff, the zoom, the pane."""
        if self.leave_prompt() or self.leave_search() or self.close_filter(clear=True) or self.detail.back():
            return
        if self.has_class("-zoom"):
            self._zoom("")
        elif hints := self.query(HintsPanel):
            hints.remove()
        else:
            self._focus_pane(-1)

    def action_help(self) -> None:
        """Show every key."""
        from relay_tui.ui.dialogs.help import HelpScreen

        self.app.push_screen(HelpScreen(ascii_only=self.glyphs is formatting.ASCII))

    def action_doctor(self) -> None:
        """Look at what relay needs on this machine."""
        from relay_tui.ui.dialogs.doctor import DoctorScreen

        self.app.push_screen(DoctorScreen(self.relay.doctor, ascii_only=self.glyphs is formatting.ASCII))

    async def action_quit(self) -> None:
        """From the key bar."""
        await self.app.action_quit()

    def action_command_palette(self) -> None:
        """From the key bar."""
        self.app.action_command_palette()
