"""What the first paint is made of: what the store has, and no module or widget that can come after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fakes import Rig, build
from on_screen import Shown, a_project, a_session
from textual import events
from textual.widgets import Input

from relay_tui.ui.app import RelayApp

AFTERWARDS = (
    "docker",
    "git",
    "relay_tui.adapters.engine",
    "relay_tui.adapters.git",
    "relay_tui.adapters.process",
    "relay_tui.cli.session",
    "relay_tui.services.drafts",
    "relay_tui.services.log_feed",
    "relay_tui.services.outward",
    "relay_tui.services.ports.runtime",
    "relay_tui.services.projects",
    "relay_tui.services.reconcile",
    "relay_tui.services.sessions",
    "relay_tui.services.trash",
    "relay_tui.ui.changes.tab",
    "relay_tui.ui.log_pane",
    "relay_tui.ui.screens",
    "relay_tui.work",
    "requests",
)
"""Modules that take their time, and that nothing on the first screen comes from."""


def test_what_is_imported_before_the_first_paint() -> None:
    script = "import sys, relay_tui.cli.screen, relay_tui.ui.app; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"relay_tui.ui.main_screen", "relay_tui.adapters.store.tiny"} <= loaded
    assert not [name for name in loaded if name.startswith(AFTERWARDS)]


class Watched(RelayApp):
    """Counts what there is when the first paint is made, and types before that."""

    def on_mount(self) -> None:
        """Called before the app's own. Keys may come as soon as the terminal is ours."""
        self.widgets: list[str] = []
        self.screens = len(self.screen_stack)
        self.call_after_refresh(self._count)
        self.post_message(events.Key("slash", "/"))

    def _count(self) -> None:
        self.widgets = [type(widget).__name__ for widget in self.screen.walk_children()]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay with a session to show."""
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main")
    return rig


async def test_the_first_paint_is_of_one_screen_and_few_widgets_and_loses_no_key(rig: Rig) -> None:
    app = Watched(rig.relay)
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            screen = Shown(app, pilot)
            await screen.until(lambda: screen.main.detail.furnished)
            await screen.until(lambda: screen.main.query_one("#filter", Input).has_focus)
    finally:
        app.close()
    assert app.screens == 1
    assert sorted(app.widgets) == ["Container", "Detail", "KeyBar", "RowTable", "RowTable", "StatusLine", "Vertical"]


def test_what_is_made_later_is_already_of_its_kind(tmp_path: Path) -> None:
    from relay_tui import wiring
    from relay_tui.config import Config
    from relay_tui.services.runtimes import PROCESS, Runtimes, of_kind

    relay = wiring.over_stage(tmp_path / "data", Config(path=tmp_path / "config.toml"))
    assert isinstance(relay.runtime, Runtimes)  # else there would be no process, and every session a container
    assert of_kind(relay.runtime, PROCESS) is not relay.runtime
