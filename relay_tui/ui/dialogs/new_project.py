"""The form for a new project, and the one that edits a failed project's source."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Select, Static

from relay_tui.domain.errors import NeedsConsentError, RelayError
from relay_tui.domain.models import Project
from relay_tui.services.projects import NewProject
from relay_tui.services.relay import Relay
from relay_tui.text.sanitize import clean
from relay_tui.ui.dialogs.confirm import ask_for_consent
from relay_tui.ui.dialogs.form import Field, Form


class NewProjectForm(Form):
    """Answers the new project's id, or '' when left."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    def compose(self) -> ComposeResult:
        """Only the source is needed."""
        profiles = self._relay.drafts.profile_names()
        with Vertical(classes="box") as box:
            box.border_title = "New project"
            box.border_subtitle = "enter adds it, esc leaves"
            with VerticalScroll(classes="body", can_focus=False):
                yield Field(
                    "source",
                    "source",
                    Input(id="source", placeholder="https://host/path, git@host:path, /a/local/path", compact=True),
                )
                yield Field("name", "name", Input(id="name", placeholder="the source's last part", compact=True))
                yield Field(
                    "branch", "branch", Input(id="branch", placeholder="the default one upstream", compact=True)
                )
                yield Field(
                    "image",
                    "image",
                    Input(
                        id="image", placeholder=f"the profile's, else {clean(self._relay.config.image)}", compact=True
                    ),
                )
                yield Field(
                    "profile",
                    "profile",
                    Select(
                        [(name, name) for name in profiles],
                        value=profiles[0],
                        allow_blank=False,
                        compact=True,
                        id="profile",
                    ),
                )
            yield Static("", id="foot", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Add project", id="submit", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Begin with the one field that is needed."""
        self.query_one("#source", Input).focus()

    @on(Input.Changed, "#source")
    def suggest_name(self, event: Input.Changed) -> None:
        """Show the name it would get."""
        name = "the source's last part"
        with suppress(RelayError):  # the store cannot be read: adding the project will say so
            name = self._relay.projects.suggest_name(event.value) if event.value.strip() else name
        self.query_one("#name", Input).placeholder = clean(name)
        self.clear_mistakes()

    @work(group="form")
    async def action_submit(self) -> None:
        """Add the project. An error is shown beside its field and the input is kept."""
        if self.sending:
            return
        self.sending = True
        value = {
            name: self.query_one(f"#{name}", Input).value.strip() for name in ("source", "name", "branch", "image")
        }
        profile = self.query_one("#profile", Select).value
        chosen = "" if profile == self._relay.config.profile else str(profile)
        wanted = NewProject(**value, profile=chosen)
        try:
            while True:
                try:
                    project = await asyncio.to_thread(self._relay.add_project, wanted)
                    break
                except NeedsConsentError as question:
                    if self.left or not await ask_for_consent(self.app, question):
                        return
                    wanted = replace(wanted, agreed=f"{wanted.agreed} {question.consent}")
        except RelayError as error:
            if not self.left:
                self.blame(error)
        else:
            if not self.left:
                self.dismiss(project.id)
        finally:
            self.sending = False


class EditSourceDialog(Form):
    """Answers the edited source, or '' when left."""

    def __init__(self, relay: Relay, project: Project) -> None:
        super().__init__()
        self._relay = relay
        self._project = project

    def compose(self) -> ComposeResult:
        """One field, filled with what failed."""
        with Vertical(classes="box -short") as box:
            box.border_title = Content(f"Source of {clean(self._project.name)}")
            box.border_subtitle = "enter clones again, esc leaves"
            with VerticalScroll(classes="body", can_focus=False):
                yield Field("source", "source", Input(self._project.source, id="source", compact=True))
            yield Static(
                "A user name and password in the URL are used for the clone and kept nowhere.", id="foot", markup=False
            )

    def on_mount(self) -> None:
        """Focus the source, with the cursor at its end."""
        self.query_one("#source", Input).focus()

    @work(group="form", exclusive=True)
    async def action_submit(self) -> None:
        """Return the source if it is valid, else show the error."""
        source = self.query_one("#source", Input).value.strip()
        try:
            await asyncio.to_thread(self._relay.git.parse_source, source)
        except RelayError as error:
            if not self.left:
                self.blame(error)
        else:
            if not self.left:
                self.dismiss(source)
