"""The Changes tab in an app of its own, over a session whose clone a test makes up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import textual_screen
from fakes_work import FakeLook, Work
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from relay_tui.domain.changes import ChangeSet, DiffBase, Patch
from relay_tui.domain.models import Session
from relay_tui.ports.inspector import SessionClone
from relay_tui.ui.changes.tab import ChangesTab
from relay_tui.ui.theme import CALM

NOWHERE = Path("/nowhere")


class Source:
    """Source of changes backed by a FakeLook."""

    def __init__(self, look: FakeLook) -> None:
        self.look = look

    def changes(self, session_id: str, against: DiffBase) -> ChangeSet:
        """As the port does."""
        return self.look.changes(_clone(session_id), against)

    def patch(self, session_id: str, against: DiffBase, path: str = "") -> Patch:
        """As the port does."""
        return self.look.patch(_clone(session_id), against, path)


def _clone(session_id: str) -> SessionClone:
    return SessionClone(
        session_id=session_id, work_dir=NOWHERE, shadow_dir=NOWHERE, base=NOWHERE, branch="topic", base_branch="main"
    )


def a_session(name: str = "topic") -> Session:
    """A session that is nowhere."""
    return Session(
        id=name,
        project_id="p",
        name=name,
        branch=name,
        base_branch="main",
        image="",
        profile="",
        work_dir=str(NOWHERE),
    )


class Alone(App[None]):
    """Nothing but the tab."""

    def __init__(self, look: FakeLook, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.tab = ChangesTab(Source(look), plain=ascii_only)

    def compose(self) -> ComposeResult:
        """The tab."""
        yield self.tab

    def on_mount(self) -> None:
        """In relay's colours, about a session."""
        self.animation_level = "none"
        self.register_theme(CALM)
        self.theme = CALM.name
        self.tab.show(a_session())

    @property
    def text(self) -> str:
        """Text of the terminal."""
        return "\n".join(textual_screen.lines(self.screen))


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Go on when the condition is true; fail, with the screen, when it is not soon."""
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline, getattr(pilot.app, "text", "")
        await pilot.pause(0.01)


@asynccontextmanager
async def alone(
    work: Work, size: tuple[int, int] = (120, 30), *, ascii_only: bool = False
) -> AsyncIterator[tuple[Alone, Pilot[None], FakeLook]]:
    """The tab on a screen, about the session `topic` whose clone holds `work`."""
    look = FakeLook()
    look.work["topic"] = work
    app = Alone(look, ascii_only=ascii_only)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield app, pilot, look
