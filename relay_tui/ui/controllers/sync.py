"""What keys do with a session's work: look at it, push it, bring it up to date, rescue it before it goes."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on

from relay_tui.domain.errors import RelayError
from relay_tui.domain.events import ProjectFetched, PushPlanned, SessionUpdated, WorkPushed, WorkSaved
from relay_tui.services import naming
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.changes.external_editor import edit, editor_command, resolve_in_clone
from relay_tui.ui.controllers.terminal import Doing
from relay_tui.ui.event_bridge import WorkReported
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.presentation import formatting

if TYPE_CHECKING:
    from relay_tui.domain.models import Session

FETCHED = 3  # branches that moved of which a toast tells; the others are counted


class WorkKeys(Doing):
    """The actions of the Changes tab, of pushing and fetching, and of the guard."""

    # --- looking ---

    def action_look_again(self) -> None:
        """Look again at the session's clone: its facts and its changes."""
        found = self.session_or_say()
        if found is not None:
            self.relay.facts.request(found.id)
            self.detail.changes.look_again()

    def action_next_file(self) -> None:
        """The next changed file."""
        self.detail.changes.jump_file(1)

    def action_previous_file(self) -> None:
        """The changed file before."""
        self.detail.changes.jump_file(-1)

    def action_next_hunk(self) -> None:
        """The next hunk."""
        self.detail.changes.jump_hunk(1)

    def action_previous_hunk(self) -> None:
        """The hunk before."""
        self.detail.changes.jump_hunk(-1)

    def action_compare(self) -> None:
        """Tell changes against something else."""
        self.detail.changes.compare_with_next()

    def action_copy_hunk(self) -> None:
        """Copy the marked hunk."""
        self.detail.changes.copy_hunk()

    def action_copy_path(self) -> None:
        """Copy the file's path."""
        self.detail.changes.copy_path()

    def action_edit_file(self) -> None:
        """Lend the terminal to the user's editor."""
        changes = self.detail.changes
        session, path = changes.session, changes.path
        if session is None or not path:
            self.notify("Choose a file first.", severity="warning")
            return
        try:
            command = editor_command(os.environ, resolve_in_clone(Path(session.work_dir), path))
        except RelayError as error:
            self.notify_error(error.fault)
            return
        self.suspend_for(lambda: edit(command))
        self.action_look_again()

    # --- pushing, fetching, catching up ---

    def action_push(self) -> None:
        """Ask the remote what it has; the question comes with the answer."""
        found = self.session_or_say()
        if found is not None:
            self.perform(lambda: self.relay.plan_push(found))

    def action_fetch(self) -> None:
        """Bring the project's base up to date."""
        project = self.fetchable()
        if project is None:
            self.notify("Choose a project that is cloned first.", severity="warning")
        else:
            self.perform(lambda: self.relay.fetch_project(project))

    def action_update(self) -> None:
        """Merge or rebase what is new upstream, inside the container."""
        found = self.session_or_say()
        if found is None:
            return

        def answered(how: str | None) -> None:
            if how:
                self.perform(lambda: self.relay.update_session(found, rebase=how == "rebase"))

        from relay_tui.ui.dialogs.confirm import ChoiceDialog  # as below: the first paint needs no dialog

        self.app.push_screen(
            ChoiceDialog(
                f"Bring {found.name} up to date",
                "relay fetches the upstream, then git in the session's container takes in what others pushed to the "
                f"session's branch; if there is nothing, what is new on {clean(found.base_branch, limit=60)}.\n"
                "What does not go together is taken back.",
                (("m", "merge", "merge it"), ("r", "rebase", "rebase onto it")),
            ),
            answered,
        )

    @on(WorkReported)
    def announced(self, message: WorkReported) -> None:
        """What came of it: a question where one has to choose, else a toast."""
        event = message.event
        if isinstance(event, ProjectFetched):
            self._fetched(event)
        elif isinstance(event, PushPlanned):
            self._push_planned(event)
        elif isinstance(event, WorkPushed):
            self._pushed(event)
        elif isinstance(event, SessionUpdated):
            count, name = event.updated.count, self._name_of(event.session_id)
            commits = f"{count} commit{'' if count == 1 else 's'}"
            branch = clean(event.updated.branch, limit=60)
            words = f"{name} took in {commits} of {branch}." if count else f"{name} has all of {branch} already."
            self.notify(words, markup=False)
        elif isinstance(event, WorkSaved):
            self.notify(clean_block(event.words), timeout=15, markup=False)

    def _fetched(self, event: ProjectFetched) -> None:
        project = self.world.project(event.project_id)
        name = clean(project.name) if project else "The project"
        words = "; ".join(clean(changed, limit=80) for changed in event.changed[:FETCHED])
        more = len(event.changed) - FETCHED
        words += f"; and {more} more" if more > 0 else ""
        self.notify(f"{name} is fetched. {words or 'Nothing is new upstream.'}", markup=False)

    def _push_planned(self, event: PushPlanned) -> None:
        session = self.world.session(event.session_id)
        if session is None:
            return
        if self.app.screen is not self:
            self.notify(f"{clean(session.name)} can be pushed now: {key_of('push')} shows what goes.", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.perform(lambda: self.relay.push(session, event.plan))

        from relay_tui.ui.dialogs.push import PushDialog

        self.app.push_screen(PushDialog(self._name_of(session.id), event.plan), answered)

    def _pushed(self, event: WorkPushed) -> None:
        name = self._name_of(event.session_id)
        if self.app.screen is self and (event.pushed.said or event.pushed.links):
            from relay_tui.ui.dialogs.push import PushResultDialog

            self.app.push_screen(PushResultDialog(name, event.pushed))
        else:
            links = [clean(link) for link in event.pushed.links]
            self.notify(" ".join([f"Pushed {name}.", *links]), timeout=15, markup=False)

    def _name_of(self, session_id: str) -> str:
        session = self.world.records.sessions.get(session_id)
        return clean(naming.full_name(self.world.records, session)) if session else session_id

    # --- before it goes ---

    def ask_to_remove(self, found: Session, kept: str) -> None:
        """Say what would be lost with a session; then rescue it, remove it, or leave it."""
        name = naming.full_name(self.world.records, found)
        bundle = _bundle_path(name)
        goes = [
            ("session", clean(f"{name} on {found.branch}")),
            ("clone", clean_block(f"{found.work_dir}\n{kept}")),
        ]

        def answered(answer: str | None) -> None:
            if answer == "remove":
                self.perform(lambda: self.relay.remove_session(found))
            elif answer:
                from relay_tui.domain.unsaved_work import SaveMethod

                rescue = SaveMethod(answer)
                target = bundle if rescue is SaveMethod.BUNDLE else None
                self.perform(lambda: self.relay.rescue(found, rescue, target, remove=True))

        plain = self.glyphs is formatting.ASCII
        guard = partial(self.relay.removal.check_unsaved, found.id)
        from relay_tui.ui.dialogs.remove_session import RemoveSessionDialog

        self.app.push_screen(
            RemoveSessionDialog(f"Remove session {found.name}?", goes, guard, bundle=bundle, plain=plain), answered
        )


def _bundle_path(name: str) -> Path:
    """A file in the home directory that is not there yet, named after the session."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    numbers = (f"-{number}" if number > 1 else "" for number in range(1, 1000))
    return next(path for number in numbers if not (path := Path.home() / f"{stem}{number}.bundle").exists())
