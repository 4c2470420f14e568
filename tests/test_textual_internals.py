"""relay on a Textual whose private parts were not reviewed, and where private parts are used."""

from __future__ import annotations

import ast
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from fakes import build
from installed_relay import InstalledRelay
from on_screen import a_project, a_session, shown
from textual.app import App
from textual.drivers import linux_driver
from textual.screen import Screen
from textual.widget import Widget
from textual_screen import Compositor, compositor

from relay_tui.domain.models import SessionState
from relay_tui.ui import textual_internals
from relay_tui.ui.textual_internals import driver_class, install_compositor, is_reviewed
from relay_tui.ui.textual_internals.compositor import PartialUpdateCompositor
from relay_tui.ui.textual_internals.driver import TerminalDriver

SOURCES = Path(textual_internals.__file__).parents[1]
TESTS = Path(__file__).parent
ALLOWED = (Path(textual_internals.__file__).parent, TESTS / "textual_screen.py")
NEVER = {"_compositor", "_dirty_regions", "_repaint_regions", "_layout_required", "_get_renders", "_bindings"}
NEVER |= {"_notifications", "_unnotify", "_dirty_widgets", "_post_message", "_set_dirty", "_extend_compose"}


def test_the_installed_textual_was_reviewed() -> None:
    """If this fails, read what changed in Textual, then extend REVIEWED."""
    assert is_reviewed(version("textual"))
    assert driver_class() is TerminalDriver


@pytest.mark.parametrize(
    ("textual_version", "reviewed"),
    [
        ("8.2.5", True),
        ("8.2.8", True),
        ("8.2.4", False),
        ("8.2.10", False),
        ("8.2.8rc1", False),
        ("9.0.0", False),
        ("8.2", False),
    ],
)
def test_reviewed_versions(textual_version: str, reviewed: bool) -> None:
    assert is_reviewed(textual_version) is reviewed


@pytest.fixture
def unreviewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textual_internals, "version", lambda _name: "99.0.0")


@pytest.mark.usefixtures("unreviewed")
async def test_the_screen_works_on_a_textual_that_was_not_reviewed(tmp_path: Path) -> None:
    rig = build(tmp_path)
    project = a_project(rig, "alpha")
    for name in ("main", "other"):
        a_session(rig, project, name, SessionState.STOPPED, output=f"log of {name}\n".encode())
    async with shown(rig) as screen:
        assert type(compositor(screen.main)) is Compositor
        await screen.sees("log of main")
        await screen.press("j")
        await screen.sees("log of other")
        await screen.press("/", "m", "a", "i", "n")
        await screen.until(lambda: screen.main.sessions.visible_keys == ("s.alpha.main",), "the row")


@pytest.mark.usefixtures("unreviewed")
def test_stock_parts_are_used_on_a_textual_that_was_not_reviewed() -> None:
    assert driver_class() is None
    screen = Screen[None]()
    install_compositor(screen)
    assert type(compositor(screen)) is Compositor


def test_relays_parts_are_used_on_a_reviewed_textual() -> None:
    screen = Screen[None]()
    install_compositor(screen)
    assert type(compositor(screen)) is PartialUpdateCompositor


STOCK = """
from relay_tui.ui import textual_internals
textual_internals.REVIEWED = (0, 0, 0), (0, 0, 0)
from relay_tui.__main__ import main
main()
"""


def test_the_program_runs_on_the_stock_driver(tmp_path: Path) -> None:
    alone = InstalledRelay(tmp_path)
    terminal, its_end = pty.openpty()
    env = alone.env | {"TERM": "xterm-256color", "DOCKER_HOST": "unix:///nonexistent.sock"}
    command = [sys.executable, "-c", STOCK]
    relay = subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, env=env, start_new_session=True)
    os.close(its_end)
    drawn = b""

    def read_until(words: bytes) -> None:
        nonlocal drawn
        deadline = time.monotonic() + 30
        while words not in drawn:
            assert time.monotonic() < deadline, drawn
            if select.select([terminal], [], [], 1)[0]:
                drawn += os.read(terminal, 65536)

    try:
        read_until(b"Projects")
        drawn = b""
        os.write(terminal, b"?")
        read_until(b"Keys")
        os.write(terminal, b"\x03")
        assert relay.wait(30) == 0
    finally:
        if relay.poll() is None:
            relay.send_signal(signal.SIGKILL)
        os.close(terminal)


def _private_names_of_textual() -> set[str]:
    """Return the private names that Textual's classes define or set on themselves."""
    found = {name for owner in (App, Screen, Widget, Compositor) for name in dir(owner)}
    modules = [sys.modules[owner.__module__] for owner in (App, Screen, Widget, Compositor)] + [linux_driver]
    for module in modules:
        found |= _set_on_self(ast.parse(Path(str(module.__file__)).read_text()))
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def _set_on_self(tree: ast.Module) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def _own_names(tree: ast.Module) -> set[str]:
    """Return the names that a module's classes and functions define."""
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    variables = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return functions | variables | _set_on_self(tree)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _files(*folders: Path) -> list[tuple[Path, ast.Module]]:
    files = [path for folder in folders for path in folder.rglob("*.py")]
    return [(path, ast.parse(path.read_text())) for path in files if not {path, *path.parents} & {*ALLOWED}]


def test_private_modules_of_textual_are_imported_in_one_place() -> None:
    found = [
        f"{path}: {name}"
        for path, tree in _files(SOURCES, TESTS)
        for name in _imports(tree)
        if name.split(".")[0] == "textual" and any(part.startswith("_") for part in name.split("."))
    ]
    assert found == []


def test_private_names_of_textual_are_used_in_one_place() -> None:
    trees = _files(SOURCES)
    own = {name for _, tree in trees for name in _own_names(tree)}
    private = (_private_names_of_textual() - own) | NEVER
    found = [
        f"{path}:{node.lineno} {node.attr}"
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in private
    ]
    assert found == []


def test_no_private_name_that_is_drawn_with_is_set_or_overridden() -> None:
    found = [(path, name) for path, tree in _files(SOURCES) for name in _own_names(tree) & NEVER]
    assert found == []
