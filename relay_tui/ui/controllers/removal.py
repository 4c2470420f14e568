"""Removal actions: remove a session or project, review orphans."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from relay_tui.domain.errors import ConflictError
from relay_tui.domain.models import DesiredState, Project, Session
from relay_tui.services import naming
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.controllers.base import Controller
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.presentation.formatting import ASCII

_LISTED = 8  # sessions of a project that the dialog names


class RemovalController(Controller):
    """Asks before anything is removed, and names what would be lost."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        return {
            "remove": Handler(self.remove, requires=self.context.selection.has_subject),
            "orphans": Handler(self.review_orphans, offered_when=lambda: bool(self.context.state().strays)),
        }

    def remove(self) -> None:
        """Ask about the selected session or project, then remove it."""
        subject = self.context.selection.subject
        if isinstance(subject, Session):
            self._remove_session(subject)
        elif isinstance(subject, Project):
            self._remove_project(subject)

    def _remove_session(self, session: Session) -> None:
        context, state = self.context, self.context.state()
        siblings = [s for s in state.records.live_sessions(session.project_id) if s.desired is not DesiredState.REMOVED]
        if siblings == [session]:
            project = state.project(session.project_id)
            error = ConflictError(
                f"{session.name} is the last session of {project.name if project else 'its project'}",
                "A project keeps at least one session.",
                "In the projects pane {remove_project} removes the project with it.",
            )
            context.notify_error(error.fault)
            return
        name = naming.full_name(state.records, session)
        bundle = _bundle_path(name)
        removed = [
            ("session", clean(f"{name} on {session.branch}")),
            ("clone", clean_block(f"{session.work_dir}\n{self._trash_notice}")),
        ]

        def save_or_remove(answer: str | None) -> None:
            if answer == "remove":
                context.run(lambda: context.relay.remove_session(session))
            elif answer:
                from relay_tui.domain.unsaved_work import SaveMethod  # the first paint needs none of it

                method = SaveMethod(answer)
                target = bundle if method is SaveMethod.BUNDLE else None
                context.run(lambda: context.relay.rescue(session, method, target, remove=True))

        from relay_tui.ui.dialogs.remove_session import RemoveSessionDialog  # the first paint needs no dialog

        check = partial(context.relay.removal.check_unsaved, session.id)
        plain = context.glyphs is ASCII
        dialog = RemoveSessionDialog(f"Remove session {session.name}?", removed, check, bundle=bundle, plain=plain)
        context.ask(dialog, save_or_remove)

    def _remove_project(self, project: Project) -> None:
        context = self.context
        sessions = context.state().records.live_sessions(project.id)
        lines = [f"{s.name} ({s.state}) on {s.branch}" for s in sessions[:_LISTED]]
        lines += ["…"] if len(sessions) > _LISTED else []
        removed = [
            ("project", project.name),
            ("source", project.source),
            ("sessions", "\n".join([str(len(sessions)), *lines])),
            ("containers", str(sum(bool(s.container_id) for s in sessions))),
            ("directories", f"{len(sessions) + 1}\n{self._trash_notice}"),
        ]

        def remove(answer: str | None) -> None:
            if answer == "remove":
                context.run(lambda: context.relay.remove_project(project))

        from relay_tui.ui.dialogs.remove_session import RemoveSessionDialog  # the first paint needs no dialog

        dialog = RemoveSessionDialog(
            f"Remove project {project.name}?",
            [(label, clean_block(value)) for label, value in removed],
            partial(context.relay.removal.guard_project, project.id),
            plain=context.glyphs is ASCII,
        )
        context.ask(dialog, remove)

    @property
    def _trash_notice(self) -> str:
        relay = self.context.relay
        return f"to {relay.data_dir.trash}, kept for {relay.config.trash_days:g} days; {key_of('undo')} undoes"

    def review_orphans(self) -> None:
        """Ask whether to adopt or remove orphaned clones and containers."""
        orphans = self.context.state().strays
        if not orphans:
            self.context.notify("No orphaned clones or containers.")
            return
        from relay_tui.ui.dialogs.orphans import OrphansDialog  # the first paint needs no dialog

        self.context.ask(OrphansDialog(orphans), self._settle_orphans)

    def _settle_orphans(self, answer: str | None) -> None:
        if not answer:
            return
        relay = self.context.relay

        def settle() -> None:
            for result in relay.settle_strays(adopt=answer == "adopt"):
                if result.error is not None:
                    raise result.error

        self.context.run(settle)


def _bundle_path(name: str) -> Path:
    """Return a file in the home directory that does not exist yet, named after the session."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    numbers = (f"-{number}" if number > 1 else "" for number in range(1, 1000))
    return next(path for number in numbers if not (path := Path.home() / f"{stem}{number}.bundle").exists())
