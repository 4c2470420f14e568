"""Sync actions: push, fetch, merge upstream changes, and the reports of what came of it."""

from __future__ import annotations

from collections.abc import Mapping

from relay_tui.domain.events import ProjectFetched, PushPlanned, SessionUpdated, WorkPushed, WorkSaved
from relay_tui.services import naming
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.controllers.base import Controller
from relay_tui.ui.event_bridge import WorkEvent
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.keys.dispatch import Handler

SHOWN_BRANCHES = 3  # changed branches that a notification names; the others are counted


class SyncController(Controller):
    """Moves commits between sessions, base clones and remotes."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        selection = self.context.selection
        return {
            "push": Handler(self.push, requires=selection.has_session, offered_when=selection.is_idle),
            "fetch": Handler(self.fetch, requires=selection.has_cloned_project),
            "update": Handler(self.update, requires=selection.has_session, offered_when=self._can_update),
        }

    def push(self) -> None:
        """Ask the remote for its state. The dialog opens with the answer."""
        relay, session = self.context.relay, self.context.selection.target
        if session is not None:
            self.context.run(lambda: relay.plan_push(session))

    def fetch(self) -> None:
        """Fetch upstream changes into the project's base clone."""
        relay, project = self.context.relay, self.context.selection.fetch_target
        if project is not None:
            self.context.run(lambda: relay.fetch_project(project))

    def _can_update(self) -> bool:
        selection = self.context.selection
        return selection.has_running_session() and selection.is_idle()

    def update(self) -> None:
        """Merge or rebase upstream changes inside the container."""
        relay, session = self.context.relay, self.context.selection.target
        if session is None:
            return

        def run_update(how: str | None) -> None:
            if how:
                self.context.run(lambda: relay.update_session(session, rebase=how == "rebase"))

        from relay_tui.ui.dialogs.confirm import ChoiceDialog  # the first paint needs no dialog

        dialog = ChoiceDialog(
            f"Update {session.name}",
            "relay fetches the upstream. Then git in the session's container merges or rebases what others pushed to "
            "the session's branch. If there is nothing new on it, the new commits of "
            f"{clean(session.base_branch, limit=60)} are taken.\n"
            "If there are conflicts, the merge is undone.",
            (("m", "merge", "merge it"), ("r", "rebase", "rebase onto it")),
        )
        self.context.ask(dialog, run_update)

    def report(self, event: WorkEvent) -> None:
        """Show the result of a service call: a dialog if the user has to decide, else a notification."""
        if isinstance(event, ProjectFetched):
            self._report_fetched(event)
        elif isinstance(event, PushPlanned):
            self._confirm_push(event)
        elif isinstance(event, WorkPushed):
            self._report_pushed(event)
        elif isinstance(event, SessionUpdated):
            self._report_updated(event)
        elif isinstance(event, WorkSaved):
            self.context.notify(clean_block(event.words), timeout=15, markup=False)

    def _report_fetched(self, event: ProjectFetched) -> None:
        project = self.context.state().project(event.project_id)
        name = clean(project.name) if project else "the project"
        changes = "; ".join(clean(changed, limit=80) for changed in event.changed[:SHOWN_BRANCHES])
        more = len(event.changed) - SHOWN_BRANCHES
        changes += f"; and {more} more" if more > 0 else ""
        self.context.notify(f"Fetched {name}. {changes or 'Nothing is new upstream.'}", markup=False)

    def _confirm_push(self, event: PushPlanned) -> None:
        context, session = self.context, self.context.state().session(event.session_id)
        if session is None:
            return
        if not context.view.is_on_top:
            text = f"{clean(session.name)} is ready to push. Press {key_of('push')} to review the commits."
            context.notify(text, markup=False)
            return

        def push(confirmed: bool | None) -> None:
            if confirmed:
                context.run(lambda: context.relay.push(session, event.plan))

        from relay_tui.ui.dialogs.push import PushDialog  # the first paint needs no dialog

        context.ask(PushDialog(self._name_of(session.id), event.plan), push)

    def _report_pushed(self, event: WorkPushed) -> None:
        name = self._name_of(event.session_id)
        if self.context.view.is_on_top and (event.pushed.said or event.pushed.links):
            from relay_tui.ui.dialogs.push import PushResultDialog  # the first paint needs no dialog

            self.context.ask(PushResultDialog(name, event.pushed), lambda _: None)
        else:
            links = [clean(link) for link in event.pushed.links]
            self.context.notify(" ".join([f"Pushed {name}.", *links]), timeout=15, markup=False)

    def _report_updated(self, event: SessionUpdated) -> None:
        count, name = event.updated.count, self._name_of(event.session_id)
        branch = clean(event.updated.branch, limit=60)
        commits = f"{count} commit{'' if count == 1 else 's'}"
        text = f"Updated {name} with {commits} of {branch}." if count else f"{name} is up to date with {branch}."
        self.context.notify(text, markup=False)

    def _name_of(self, session_id: str) -> str:
        records = self.context.state().records
        session = records.sessions.get(session_id)
        return clean(naming.full_name(records, session)) if session else session_id
