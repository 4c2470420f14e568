"""Form for a new session: any upstream branch or a new branch, with a preview of the container."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rich.cells import cell_len
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from relay_tui.domain.errors import NeedsConsentError, RelayError
from relay_tui.domain.models import Branch, Project
from relay_tui.services.relay import Relay
from relay_tui.services.runtime_router import KINDS, PROCESS
from relay_tui.services.sessions.container_spec import HARDENING, NOT_ENFORCED, describe, relaxed_hardening
from relay_tui.services.sessions.drafts import NewSession
from relay_tui.text.sanitize import clean
from relay_tui.ui.dialogs.confirm import ask_for_consent
from relay_tui.ui.dialogs.form import Field, Form
from relay_tui.ui.presentation import formatting
from relay_tui.ui.widgets.hanging_indent import HangingIndent

MOST_NAME = 36  # cells of a branch's name that the column after it is aligned for
PICKED = 200  # branches offered at once; typing narrows them down
PAUSE = 0.15  # seconds of quiet before what was typed is checked


class NewSessionDialog(Form):
    """Answers the new session's id, or '' when left."""

    BINDINGS = [Binding("down", "into_list", show=False), Binding("up", "out_of_list", show=False)]  # noqa: RUF012

    def __init__(self, relay: Relay, project: Project) -> None:
        super().__init__()
        self._relay = relay
        self._project = project
        self._branches: list[Branch] = []
        self._branch = project.default_branch

    def compose(self) -> ComposeResult:
        """The fields at the left, the container as it would be at the right (or below)."""
        profiles = self._relay.drafts.profile_names()
        default = self._project.default_profile or self._relay.config.profile
        with Vertical(classes="box -tall") as box:
            box.border_title = Content(f"New session of {clean(self._project.name)}")
            box.border_subtitle = "ctrl+s creates it, esc leaves"
            with Horizontal(classes="columns"):
                with VerticalScroll(classes="body", can_focus=False):
                    yield Field(
                        "branch",
                        "branch",
                        Input(id="search", placeholder="type to search the branches", compact=True),
                        OptionList(id="branches", compact=True, markup=False),
                    )
                    yield Field(
                        "new_branch",
                        "new branch",
                        Input(id="new_branch", placeholder="none: work on the branch above", compact=True),
                    )
                    yield Field("name", "name", Input(id="name", compact=True))
                    yield Field("image", "image", Input(id="image", placeholder="the profile's", compact=True))
                    yield Field(
                        "profile",
                        "profile",
                        Select(
                            [(n, n) for n in profiles],
                            value=default if default in profiles else profiles[0],
                            allow_blank=False,
                            compact=True,
                            id="profile",
                        ),
                    )
                    kinds = [("as configured", ""), *((kind, kind) for kind in KINDS)]
                    runtime = Select(kinds, value="", allow_blank=False, compact=True, id="runtime")
                    yield Field("runtime", "runtime", runtime)
                with VerticalScroll(id="preview"):
                    yield HangingIndent(id="spec")
            yield Static("", id="foot", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Create session", id="submit", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Show the branches as soon as git has listed them."""
        self.query_one("#search", Input).focus()
        self.load_branches()

    @work(group="branches", exclusive=True)
    async def load_branches(self) -> None:
        """Ask the base clone for its heads."""
        failure: RelayError | None = None
        try:
            self._branches = await asyncio.to_thread(self._relay.drafts.branches, self._project.id)
        except RelayError as error:
            failure = error
        if self.left:
            return
        if failure is not None:
            self.blame(failure)
        self._offer("")
        self.check()

    def _offer(self, typed: str) -> None:
        """List the branches that contain every word typed; the default branch comes first."""
        words = typed.casefold().split()
        found = [b for b in self._branches if all(word in b.name.casefold() for word in words)]
        found.sort(key=lambda b: (b.name.casefold() != typed.casefold(), b.name != self._project.default_branch))
        options = self.query_one("#branches", OptionList)
        options.clear_options()
        moment = formatting.now()
        shown = found[:PICKED]
        names = [clean(branch.name) for branch in shown]
        room = min(MOST_NAME, max(map(cell_len, names), default=0))
        for name, branch in zip(names, shown, strict=True):
            pad = " " * (room - cell_len(name))
            age = f"{formatting.relative_age(branch.committed_at, moment):>4}"
            about = (f"{pad}  {age}  {clean(branch.subject, limit=60)}", "dim")
            options.add_option(Option(Content.assemble(name, about), id=branch.name))
        if found:
            options.highlighted = 0
            self._branch = found[0].name
        else:
            self._branch = typed.strip()
        more = len(found) - PICKED
        options.border_subtitle = f"{more} more: type to narrow down" if more > 0 else ""

    @on(Input.Changed, "#search")
    def searched(self, event: Input.Changed) -> None:
        """Narrow the list down as it is typed."""
        if self._branches:
            self._offer(event.value)
            self.check()

    @on(OptionList.OptionHighlighted, "#branches")
    def branch_moved(self, event: OptionList.OptionHighlighted) -> None:
        """The highlighted branch is the chosen one."""
        if event.option.id is not None and event.option.id != self._branch:
            self._branch = event.option.id
            self.check()

    @on(OptionList.OptionSelected, "#branches")
    def branch_chosen(self) -> None:
        """Enter on a branch goes on to the next field."""
        self.query_one("#new_branch", Input).focus()

    def action_into_list(self) -> None:
        """Down from the search moves in the list without leaving the search."""
        if self.focused is self.query_one("#search"):
            self.query_one("#branches", OptionList).action_cursor_down()
        else:
            self.focus_next()

    def action_out_of_list(self) -> None:
        """Up from the search moves in the list without leaving the search."""
        if self.focused is self.query_one("#search"):
            self.query_one("#branches", OptionList).action_cursor_up()
        else:
            self.focus_previous()

    @on(Input.Changed, "#new_branch,#name,#image")
    @on(Select.Changed, "#profile,#runtime")
    def changed(self) -> None:
        """Something else would be made now."""
        self.check()

    def _wanted(self) -> NewSession:
        profile = self.query_one("#profile", Select).value
        return NewSession(
            project=self._project.id,
            name=self.query_one("#name", Input).value.strip(),
            branch=self._branch,
            new_branch=self.query_one("#new_branch", Input).value.strip(),
            image=self.query_one("#image", Input).value.strip(),
            profile=str(profile),
            runtime=str(self.query_one("#runtime", Select).value),
        )

    @work(group="check", exclusive=True)
    async def check(self) -> None:
        """Show what would be made, or what is wrong beside the field; nothing is written."""
        await asyncio.sleep(PAUSE)
        if self.left:
            return
        wanted = self._wanted()
        branch = wanted.new_branch or wanted.branch
        try:
            suggestion = await asyncio.to_thread(self._relay.drafts.suggest_name, self._project.id, branch)
            if self.left:
                return
            self.query_one("#name", Input).placeholder = clean(suggestion)
            session, spec, profile = await asyncio.to_thread(self._relay.drafts.preview, wanted)
            choice = await asyncio.to_thread(self._relay.drafts.choose_runtime, wanted)
        except RelayError as error:
            if not self.left:
                self.blame(error)
                self.query_one("#spec", HangingIndent).update(Content(""))
            return
        if self.left:
            return
        self.clear_mistakes()
        if not wanted.image:
            self.query_one("#image", Input).placeholder = clean(spec.image or "none: a process has none")
        if spec.runtime == PROCESS and not spec.isolated:  # on a low terminal the preview has to be scrolled to
            self.query_one("#field-runtime", Field).blame("a process, not isolated from your files")
        loud = {"runtime", NOT_ENFORCED} if spec.runtime == PROCESS else set()
        loud |= {HARDENING} if relaxed_hardening(profile) else set()
        loud -= {"runtime"} if spec.isolated else set()
        lines = [
            Content.styled("Preview", "bold $foreground-muted"),
            *(
                Content.assemble(
                    (f"{label:<14}", "$foreground-muted"),
                    (clean(value, limit=300), "$text-warning" if label in loud else ""),
                )
                for label, value in [
                    ("session", session.name),
                    ("branch", session.branch + (f" (new, from {session.base_branch})" if wanted.new_branch else "")),
                    *describe(spec, profile)[:1],
                    *([("because", choice.why)] if choice.why else []),
                    *([("asks first", choice.asks.title)] if choice.asks else []),
                    *describe(spec, profile)[1:],
                ]
            ),
        ]
        self.query_one("#spec", HangingIndent).update(Content("\n").join(lines))

    @work(group="form")
    async def action_submit(self) -> None:
        """Create the session. An error is shown beside its field and the input is kept."""
        if self.sending:
            return
        self.sending = True
        self.workers.cancel_group(self, "check")
        wanted = self._wanted()
        try:
            while True:
                try:
                    session = await asyncio.to_thread(self._relay.create_session, wanted)
                    break
                except NeedsConsentError as question:
                    if self.left:
                        return
                    if not await ask_for_consent(self.app, question):
                        self.check()
                        return
                    wanted = replace(wanted, agreed=f"{wanted.agreed} {question.consent}")
        except RelayError as error:
            if not self.left:
                self.blame(error)
        else:
            if not self.left:
                self.dismiss(session.id)
        finally:
            self.sending = False
