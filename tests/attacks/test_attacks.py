"""Attacks planted in a session's clone: the host runs none of it, shows and writes nothing else, and keeps working.

Hazards are planted from inside the session's container; relay is driven by its commands and on its screen.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from arena import WORD, Arena
from hazards import ALL, LIES, together
from installed_relay import PROGRAM, Done, InstalledRelay, clear_engine
from terminal_screen import TerminalScreen

pytestmark = pytest.mark.engine

OPERATIONS: dict[str, tuple[str, ...]] = {
    "status": ("session", "status", "victim", "--json"),
    "diff": ("session", "diff", "victim", "--against", "branch-point"),
    "push": ("session", "push", "victim", "--dry-run"),
    "guard": ("session", "remove", "victim", "--json"),
    "export": ("session", "export", "victim", "--to", "exported"),
}
"""What is run on every hazard alone: none of it changes the session. A further operation is one line."""

_SLOW = ("status",)


@pytest.fixture(scope="module")
def arena(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One session for all: its clone is put back before each hazard is planted."""
    root = tmp_path_factory.mktemp("arena")
    relay = InstalledRelay(root / "relay")
    relay.root.mkdir()
    arena = Arena(root, relay, engine)
    try:
        arena.prepare()
        yield arena
    finally:
        arena.close()
        clear_engine(engine, relay.root)


@pytest.mark.parametrize("name", ALL)
def test_hazard_alone(arena: Arena, name: str) -> None:
    """Each operation on each hazard; what git would have run for a careless host is proof that it is one."""
    hazard = ALL[name]
    arena.plant(hazard.script)
    for operation in _SLOW if hazard.slow else OPERATIONS:
        done = arena.run(name, operation, *OPERATIONS[operation])
        if operation == "status":
            _never_clean(name, done)
        if operation == "guard":
            assert done.code == 4, (name, done)
            assert hazard.named in done.err, (name, done)
        if operation == "export":
            _nothing_stolen(arena)
    arena.nothing_stolen()
    if hazard.control:
        assert arena.carelessly(*hazard.control) != []


def _never_clean(name: str, done: Done) -> None:
    """Assert that the unpushed commit and the uncommitted file are reported, or that the status is unknown."""
    if done.code:
        assert json.loads(done.err)["error"]["kind"] in {"unknown", "file-system"}, (name, done.err)
        return
    facts = json.loads(done.out)
    assert facts["dirty"] >= 1, (name, facts)
    assert facts["unpushed"] is None or facts["unpushed"] >= 1, (name, facts)


def _nothing_stolen(arena: Arena) -> None:
    exported = arena.root / "exported"
    if not exported.exists():
        return
    for path in exported.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert WORD.encode() not in path.read_bytes(), path
    shutil.rmtree(exported)


def test_lies_are_seen_through(arena: Arena) -> None:
    """All at once, but for those that hide nothing; the counts are the true ones."""
    arena.plant("")
    assert arena.run("no lies", "status", *OPERATIONS["status"]).code == 0  # its HEAD is known before it is lied about
    arena.plant(
        together([f"lies: {name}" for name in LIES if name not in ("escapes in names", "unreadable", "forged tree")])
    )
    facts = json.loads(arena.run("all lies", "status", *OPERATIONS["status"]).out)
    assert facts["unpushed"] >= 1 and facts["changed"] >= 2, facts


def _gentle() -> list[str]:
    """All that does not make relay refuse the clone, so that every other one gets its chance."""
    return [name for name, hazard in ALL.items() if not hazard.alone]


_INSTEAD_OF_GIT = ("shows: gitdir file", "shows: git is a link")
"""There would be nothing to plant the others in."""

_BREAKS_GIT = (
    "shows: core.worktree",
    "shows: config is a link",
    "lies: forged upstream",
    "lies: grafts and shallow",
    "lies: index of another time",
)
"""Planted with others, these keep git in the container from planting those, or the session from being brought out."""

MIXES = {
    "all that can be brought out": [
        name for name in _gentle() if name not in _BREAKS_GIT and not name.startswith("hangs")
    ],
    "all that is not refused": _gentle(),
    "all of it": [name for name, hazard in ALL.items() if not hazard.slow and name not in _INSTEAD_OF_GIT],
}


@pytest.mark.parametrize("mix", MIXES)
def test_whole_life_with_all_hazards(arena: Arena, mix: str) -> None:
    """From looking at it to its last byte in the trash; what changes its life by the installed program itself."""
    arena.plant(together(MIXES[mix]))
    arena.run(mix, "list", "session", "list")
    arena.run(mix, "show", "session", "show", "victim")
    arena.run(mix, "stat", "session", "diff", "victim", "--stat")
    arena.run(mix, "plan", "reconcile", "--dry-run")
    for operation in ("status", "diff", "push", "export"):
        arena.run(mix, "dry push" if operation == "push" else operation, *OPERATIONS[operation])
        _nothing_stolen(arena)
    assert arena.run(mix, "guard", *OPERATIONS["guard"]).code == 4
    _bring_out(arena, mix)
    assert _by_program(arena, mix, "shell", "session", "shell", "victim", "--", "true").code == 0
    assert _by_program(arena, mix, "stop", "session", "stop", "victim").code == 0
    assert _by_program(arena, mix, "remove", "session", "remove", "victim", "--force").code == 0
    _by_program(arena, mix, "reconcile", "reconcile")
    assert _by_program(arena, mix, "restore", "session", "restore", "victim").code == 0
    _by_program(arena, mix, "status", *OPERATIONS["status"])
    assert _by_program(arena, mix, "remove", "session", "remove", "victim", "--force").code == 0
    assert _by_program(arena, mix, "purge", "purge", "--older-than", "0").code == 0
    assert list((arena.relay.data / "trash").iterdir()) == []
    made = arena.relay.run("session", "create", "demo", "--name", "victim")
    assert made.code == 0, made.err
    arena.renew()


def _bring_out(arena: Arena, mix: str) -> None:
    """Push it, bring it up to date, and remove it after its work is saved in either way."""
    pushed = arena.push(mix, "session", "push", "victim", "--branch", "work", "--yes")
    assert pushed.code == 0 or mix != "all that can be brought out", pushed
    arena.advance()
    assert arena.run(mix, "fetch", "project", "fetch", "demo").code == 0
    arena.run(mix, "update", "session", "update", "victim")
    bundle = arena.root / "saved.bundle"
    for operation, how in (("keep", ("--keep",)), ("bundle", ("--bundle", str(bundle)))):
        if arena.run(mix, operation, "session", "remove", "victim", *how).code == 0:
            assert arena.run(mix, "restore", "session", "restore", "victim").code == 0
        arena.nothing_stolen()
    bundle.unlink(missing_ok=True)


def _by_program(arena: Arena, mix: str, operation: str, *arguments: str) -> Done:
    done = arena.relay.run(*arguments)
    arena.ran.append((mix, operation))
    arena.judge(mix, operation, done)
    return done


def test_screen_with_all_hazards(arena: Arena, tmp_path: Path) -> None:
    """The screen looks by itself, shows every tab, and stays alive."""
    arena.plant(together(_gentle()))
    command: list[str | Path] = [PROGRAM]
    screen = TerminalScreen(tmp_path / "terminal", command, width=160, height=45, env=arena.relay.env)
    try:
        screen.wait_for("victim")
        screen.press("j")
        screen.wait_for(r"[▌>] . \w+ +victim")
        for _ in range(5):
            screen.press("]")
            screen.wait_for("victim")
        screen.press("D")
        screen.wait_for("Remove session victim")
        screen.press("Escape")
        screen.wait_gone("Remove session victim")
        screen.press("q")
        assert screen.wait_end() == 0
        arena.ran.append(("all that is not refused", "screen"))
        arena.judge("all that is not refused", "screen", Done(0, "\n".join(screen.lines()), ""))
    finally:
        screen.close()
