"""The demo: the real thing over processes of this machine, without a screen, on one, and killed in the middle."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Open
from fakes import Rig, build
from git_servers import run_git
from installed_relay import InstalledRelay
from on_screen import shown
from waiting import wait_until

from relay_tui.adapters.demo import Stages, make_repository
from relay_tui.adapters.demo.sample import HISTORY
from relay_tui.errors import EngineError
from relay_tui.services.demo import HINTS, PARTS
from relay_tui.ui import present
from relay_tui.ui.hints import Hints

GIT = shutil.which("git")
STEPS = [
    "sample repository",
    "project",
    *(f"session {part.name}" for part in PARTS),
    "command in a session",
    "stop a session",
    "thrown away",
]


@pytest.fixture
def alone(tmp_path: Path) -> InstalledRelay:
    """relay where no engine answers."""
    return InstalledRelay(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})


def _home(relay: InstalledRelay) -> Path:
    return relay.root / "state/relay"


def _at_work(relay: InstalledRelay) -> list[int]:
    """The processes whose working directory or command line lies in a demo's stage."""
    place = os.fsencode(_home(relay) / "demo")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if place in (process / "cmdline").read_bytes() + os.fsencode((process / "cwd").readlink()):
                found.append(int(process.name))
    return found


def _with_one_running(relay: InstalledRelay) -> subprocess.Popen[bytes]:
    """A demo whose first session runs."""
    begun = relay.begin("demo", "--headless")
    assert begun.stdout is not None
    for line in begun.stdout:
        if b"session main" in line:
            return begun
    raise AssertionError("its first session never ran")


# --- the sample ---


def test_the_sample_is_a_repository_with_a_history_that_holds_together(tmp_path: Path) -> None:
    words = make_repository(tmp_path / "sample.git")
    log = run_git("log", "--all", "--format=%s", cwd=tmp_path / "sample.git").splitlines()
    assert sorted(log) == sorted(change.message for change in HISTORY)
    assert words == f"{len(HISTORY)} commits on 4 branches"
    run_git("fsck", "--strict", cwd=tmp_path / "sample.git")
    run_git("clone", "--quiet", "--branch=faster-harmonics", str(tmp_path / "sample.git"), "clone", cwd=tmp_path)
    tests = subprocess.run(
        (sys.executable, "-B", "-m", "unittest"), cwd=tmp_path / "clone", capture_output=True, text=True, check=False
    )
    assert (tests.returncode, "Ran 8 tests" in tests.stderr) == (0, True), tests.stderr


def test_a_stage_that_cannot_be_cleared_stays_for_the_next_demo(tmp_path: Path) -> None:
    ready: list[bool] = []

    def clear(_: Path) -> None:
        if not ready:
            raise EngineError("The engine does not answer")

    stages = Stages(tmp_path / "demo", clear)
    with stages.open() as stage, stages.open() as other:
        assert stages.sweep() == 0  # both live
    assert stage.exists()
    assert other.exists()
    ready.append(True)
    assert stages.sweep() == 2
    with stages.open():
        pass
    assert not (tmp_path / "demo").exists()


# --- the real thing ---


def test_without_a_screen_every_step_is_told_and_nothing_is_left(alone: InstalledRelay) -> None:
    done = alone.run("demo", "--json")
    assert done.code == 0, (done.out, done.err)
    document = done.document
    steps = document["steps"]
    assert isinstance(steps, list)
    assert [step["name"] for step in steps] == STEPS
    assert [step["failed"] for step in steps] == [False] * len(STEPS)
    assert all(step["seconds"] >= 0 for step in steps)
    assert document["runtime"] == "process"
    assert "no container engine answers" in str(document["why"])
    assert not list(_home(alone).glob("*"))
    assert not alone.data.exists()
    assert not _at_work(alone)


def test_a_step_that_fails_is_told_and_the_exit_code_says_so(alone: InstalledRelay, tmp_path: Path) -> None:
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    lame_git = f'#!/bin/sh\ncase "$*" in *clone*) echo "fatal: out of order" >&2; exit 128;; esac\nexec {GIT} "$@"\n'
    (bin_dir / "git").write_text(lame_git)
    (bin_dir / "git").chmod(0o755)
    lame = InstalledRelay(alone.root, {**alone.more, "PATH": f"{bin_dir}:{os.environ['PATH']}"})
    done = lame.run("demo")
    assert done.code == 1, done.out
    assert re.search(r"project +FAILED .*fatal: out of order", done.out)
    assert done.out.splitlines()[-1].endswith("FAILED: project")
    assert not list(_home(alone).glob("*"))


def test_a_killed_demo_is_cleared_up_by_the_next(alone: InstalledRelay) -> None:
    killed = _with_one_running(alone)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list((_home(alone) / "demo").iterdir())) > 0
    assert _at_work(alone)  # what it began outlives it
    done = alone.run("demo")
    assert done.code == 0, (done.out, done.err)
    assert "cleared up first: 1 that had been killed" in done.out
    assert not list(_home(alone).glob("*"))
    wait_until(lambda: not _at_work(alone), 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_by_a_signal_it_takes_everything_down(alone: InstalledRelay, number: int) -> None:
    running = _with_one_running(alone)
    running.send_signal(number)
    assert running.wait(20) != 0
    assert not list(_home(alone).glob("*"))
    wait_until(lambda: not _at_work(alone), 10)


def test_on_a_terminal_it_shows_three_sessions_hints_and_what_failed(alone: InstalledRelay, open_screen: Open) -> None:
    screen = open_screen("demo", width=140, height=40, **alone.env)
    screen.wait_for(r"esc hides this")
    screen.wait_for(r"● running +main ", 30)
    screen.wait_for(r"● running +faster-harmonics ", 30)
    screen.wait_for(r"✗ failed +import-stations .*exit code 1", 30)
    screen.wait_for(r"GET /tide/\w+ +200", 30)  # the log of the one that serves, which the cursor is on
    screen.press("Escape")
    screen.wait_gone("esc hides this")
    screen.press("q")
    assert screen.wait_end(20) == 0
    assert not list(_home(alone).glob("*"))


def test_the_readme_has_one_command_that_ends_in_the_demo_and_says_what_an_engine_gives() -> None:
    start = (Path(__file__).parents[1] / "README.md").read_text().split("## Start")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", start, re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if ".venv" in line] == [blocks[0].strip()]
    assert blocks[0].strip().endswith("&& .venv/bin/relay demo")
    assert "Python 3.11 or newer, pip and git, as an ordinary user" in start
    assert any("engine adds" in line for line in start.splitlines())


# --- the hints ---


@pytest.mark.parametrize(
    ("size", "seen"), [((160, 45), "choose a session; below is its log"), ((80, 24), "j k choose")]
)
async def test_the_hints_fit_and_go(rig: Rig, size: tuple[int, int], seen: str) -> None:
    async with shown(rig, size) as screen:
        hints = Hints("A sample.", HINTS, ascii_only=screen.main.glyphs is present.ASCII)
        await screen.main.mount(hints, before="#keys")
        await screen.sees(seen)
        assert all(keys in screen.text for keys, _, _ in HINTS)
        await screen.press("z", "escape")
        assert screen.main.query(Hints)  # esc left the zoom
        await screen.press("escape")
        await screen.until(lambda: not screen.main.query(Hints))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A relay over an empty data dir."""
    monkeypatch.chdir(tmp_path)
    return build(Path("data"))
