"""First paint: it shows the content of the store and imports no module or widget that can be loaded later."""

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
    "relay_tui.adapters.docker",
    "relay_tui.adapters.git",
    "relay_tui.adapters.process",
    "relay_tui.cli.session",
    "relay_tui.domain.changes",
    "relay_tui.domain.transfers",
    "relay_tui.domain.unsaved_work",
    "relay_tui.ports.runtime",
    "relay_tui.services.logs",
    "relay_tui.services.projects",
    "relay_tui.services.reconcile.planner",
    "relay_tui.services.reconcile.reconciler",
    "relay_tui.services.sessions.drafts",
    "relay_tui.services.sessions.service",
    "relay_tui.services.sync",
    "relay_tui.services.trash",
    "relay_tui.ui.changes.tab",
    "relay_tui.ui.dialogs",
    "relay_tui.ui.log.pane",
    "requests",
)
"""Modules that take their time, and that nothing on the first screen comes from."""


def test_what_is_imported_before_the_first_paint() -> None:
    script = "import sys, relay_tui.cli.tui, relay_tui.ui.app; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"relay_tui.ui.main.screen", "relay_tui.adapters.store.tinydb_store"} <= loaded
    assert not [name for name in loaded if name.startswith(AFTERWARDS)]


class Watched(RelayApp):
    """Counts what there is when the first paint is made, and types before that."""

    def on_mount(self) -> None:
        """Run before the app's own handler. Keys may arrive as soon as relay has set up the terminal."""
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
            await screen.until(lambda: screen.main.detail.populated)
            await screen.until(lambda: screen.main.query_one("#filter", Input).has_focus)
    finally:
        app.close()
    assert app.screens == 1
    assert sorted(app.widgets) == ["Container", "Detail", "KeyBar", "KeyedTable", "KeyedTable", "StatusBar", "Vertical"]


def test_what_is_made_later_is_already_of_its_kind(tmp_path: Path) -> None:
    from relay_tui.bootstrap import container
    from relay_tui.config import Config
    from relay_tui.services.runtime_router import PROCESS, RuntimeRouter, runtime_for_kind

    relay = container.build_demo_relay(tmp_path / "data", Config(path=tmp_path / "config.toml"))
    assert isinstance(relay.runtime, RuntimeRouter)  # else there would be no process, and every session a container
    assert runtime_for_kind(relay.runtime, PROCESS) is not relay.runtime


def test_a_lazy_proxy_shows_itself_in_its_representation() -> None:
    from relay_tui.bootstrap.container import LazyProxy

    created: list[list[int]] = []

    def create() -> list[int]:
        created.append([1, 2])
        return created[0]

    proxy = LazyProxy("numbers", create)
    assert repr(proxy) == "<LazyProxy numbers: not created yet>"
    assert created == []  # a debugger that shows it imports nothing
    assert type(proxy) is LazyProxy
    assert isinstance(proxy, list)
    assert repr(proxy) == "<LazyProxy numbers: [1, 2]>"
    assert len(created) == 1
