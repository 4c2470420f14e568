"""A relay on a screen: opened, driven by keys, and read as the lines that a terminal would show."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import textual_screen
from fakes import Container, Rig
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from relay_tui.config import Profile
from relay_tui.domain.errors import Fault
from relay_tui.domain.models import CloneState, DesiredState, Identity, Project, Session, SessionState
from relay_tui.services.sessions.container_spec import container_spec
from relay_tui.ui.app import RelayApp
from relay_tui.ui.keys.keymap import Keymap
from relay_tui.ui.main.screen import MainScreen
from relay_tui.ui.main.status_bar import StatusBar
from relay_tui.ui.widgets.key_bar import KeyBar

KEY_NAMES = {"/": "slash", "&": "ampersand", "[": "left_square_bracket", "]": "right_square_bracket", " ": "space"}
GOLDENS = Path(__file__).parent / "screens"


@dataclass(frozen=True)
class Shown:
    """A running app and the hands on its keys."""

    app: RelayApp
    pilot: Pilot[int]

    @property
    def main(self) -> MainScreen:
        """The main screen, whatever is over it."""
        (found,) = (screen for screen in self.app.screen_stack if isinstance(screen, MainScreen))
        return found

    @property
    def lines(self) -> list[str]:
        """Lines of the terminal."""
        return textual_screen.lines(self.app.screen)

    @property
    def text(self) -> str:
        """Text of the terminal."""
        return "\n".join(self.lines)

    @property
    def words(self) -> str:
        """Text of the terminal without the panes' sides. Every gap is one space."""
        return " ".join(self.text.replace("│", " ").split())

    @property
    def status(self) -> str:
        """The first line."""
        return str(self.main.query_one(StatusBar).render())

    @property
    def keys(self) -> str:
        """The last line."""
        return str(self.main.query_one(KeyBar).render())

    @property
    def focused(self) -> str:
        """The pane that has the focus."""
        return self.main.selection.pane

    def row(self, words: str) -> str:
        """The first line that contains the words."""
        return next((line for line in self.lines if words in line), "")

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other; what each of them begins at once is drawn before the next."""
        for key in keys:
            character = key if len(key) == 1 else None
            self.app.post_message(events.Key(KEY_NAMES.get(key, key), character))
            await self.pilot.pause()

    async def type(self, field: str, words: str) -> None:
        """Put words into a form's field."""
        await self.until(lambda: self.app.screen.query(f"#{field}"), f"the field {field}")
        box = self.app.screen.query_one(f"#{field}", Input)
        box.focus()
        box.value = words
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Go on when the condition is true; fail, with the screen, when it is not soon."""
        deadline = time.monotonic() + 8
        while not condition():
            assert time.monotonic() < deadline, f"{what or 'the condition'} never came:\n{self.text}"
            await self.pilot.pause(0.01)

    async def sees(self, words: str) -> None:
        """Go on when the words are on the terminal, whatever the gaps between them."""
        sought = " ".join(words.split())
        await self.until(lambda: sought in self.words, repr(words))

    async def same_as(self, name: str) -> None:
        """Go on when the screen is the stored picture; with RELAY_DRAW=1 in the environment, store it instead."""
        stored = GOLDENS / f"{name}.txt"
        if os.environ.get("RELAY_DRAW") == "1":
            await self.pilot.pause(1)
            GOLDENS.mkdir(exist_ok=True)
            stored.write_text(self.text + "\n")
        await self.until(lambda: self.text + "\n" == stored.read_text(), f"{stored} (RELAY_DRAW=1 draws it again)")


@asynccontextmanager
async def shown(rig: Rig, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Shown]:
    """relay's screen over a rig, the engine already looked for."""
    config = rig.relay.config
    app = RelayApp(rig.relay, Keymap.from_config(config.keys, config.path))
    app.animation_level = "none"
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = Shown(app, pilot)
        try:
            await screen.until(lambda: screen.main.detail.populated, "the detail")
            await screen.until(lambda: screen.main.state.engine.state != "connecting", "the engine's answer")
            await pilot.pause()
            yield screen
            await pilot.pause()  # what is being mounted is there before it is taken away
        finally:
            app.close()


def a_project(rig: Rig, name: str, *, error: Fault | None = None, source: str = "") -> Project:
    """A project on record, its id made of its name; cloned unless there is an error."""
    project = Project(
        id=f"p.{name}"[:13],
        name=name,
        source=source or f"https://host.example/team/{name}.git",
        default_branch="main",
        clone_state=CloneState.ERROR if error else CloneState.READY,
        clone_error=error,
        created_at="2026-11-20T08:00:00.000Z",
    )
    rig.put(project)
    if error is None:
        base = rig.relay.data_dir.base(project.id)
        base.mkdir(parents=True)
        (base / "HEAD").write_text("main")
        (base / "heads").write_text("\n".join(rig.git.heads))
    return project


def a_session(
    rig: Rig,
    project: Project,
    name: str,
    state: SessionState = SessionState.RUNNING,
    *,
    branch: str = "",
    image: str = "debian:12",
    profile: str = "default",
    error: Fault | None = None,
    exit_code: int | None = None,
    output: bytes = b"",
) -> Session:
    """A session on record with a container that fits its state, its id made of its name."""
    key = f"s.{project.id.removeprefix('p.')}.{name}"
    minute = len(rig.relay.store.read().sessions)
    session = Session(
        id=key,
        project_id=project.id,
        name=name,
        branch=branch or name,
        base_branch=branch or name,
        image=image,
        profile=profile,
        work_dir=str(rig.relay.data_dir.session(project.id, key)),
        container_id=key.encode().hex().ljust(64, "0")[:64],
        desired=DesiredState.STOPPED if state is SessionState.STOPPED else DesiredState.RUNNING,
        state=state,
        error_reason=error,
        exit_code=exit_code,
        created_at=f"2026-11-20T09:{minute:02}:00.000Z",
    )
    status = {SessionState.RUNNING: "running", SessionState.ERROR: "created"}.get(state, "exited")
    spec = container_spec(session, project, Profile(name=profile), Identity(), rig.root)
    rig.engine.containers[session.container_id] = Container(
        session.container_id, spec, status, exit_code, output=[output] if output else []
    )
    (Path(session.work_dir) / ".git").mkdir(parents=True)
    rig.put(session)
    return session
