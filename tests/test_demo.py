"""The demo: the real thing over processes of this machine, without a screen, on one, and killed in the middle."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from conftest import Open, missing
from fakes import Rig, build
from faults import small_disk
from git_servers import run_git
from installed_relay import IMAGE, PROGRAM, InstalledRelay, clear_engine
from on_screen import shown
from waiting import wait_until

from relay_tui.adapters.demo import DemoDirectories, make_repository
from relay_tui.adapters.demo.sample_project import HISTORY
from relay_tui.domain.errors import EngineError
from relay_tui.services.demo import PARTS
from relay_tui.ui.demo import hints
from relay_tui.ui.presentation import formatting
from relay_tui.ui.widgets.hints_panel import HintsPanel

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
    """Return the processes whose working directory or command line is in a demo's directory."""
    place = os.fsencode(_home(relay) / "demo")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if place in (process / "cmdline").read_bytes() + os.fsencode((process / "cwd").readlink()):
                found.append(int(process.name))
    return found


def _with_one_running(relay: InstalledRelay, line: str = "session main") -> subprocess.Popen[bytes]:
    """Start a demo and return it once it has printed that line. Its first session runs then."""
    begun = relay.begin("demo", "--headless")
    assert begun.stdout is not None
    for told in begun.stdout:
        if line.encode() in told:
            return begun
    raise AssertionError(f"it never came to {line}")


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

    stages = DemoDirectories(tmp_path / "demo", clear)
    with stages.open() as stage, stages.open() as other:
        assert stages.remove_stale() == 0  # both live
    assert stage.exists()
    assert other.exists()
    ready.append(True)
    assert stages.remove_stale() == 2
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
    assert document["why"] == "the socket from $DOCKER_HOST does not exist"
    assert not list(_home(alone).glob("*"))
    assert not alone.data.exists()
    assert not _at_work(alone)


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


# --- each step failing, by real means ---

_NOT_ISOLATED = "#!/bin/sh\nexit 1\n"
_LAME_GIT = '#!/bin/sh\ncase "$*" in *{what}*) echo "fatal: out of order" >&2; exit 128;; esac\nexec {git} "$@"\n'
_NO_STORE = "rm -f $RELAY_WORKSPACE_DIR/../../../../store.lock; mkdir $RELAY_WORKSPACE_DIR/../../../../store.lock"
_MOUNT = "mkdir $RELAY_WORKSPACE_DIR/m && mount -t tmpfs relay-test $RELAY_WORKSPACE_DIR/m"


@pytest.mark.parametrize(
    ("step", "program", "script", "words"),
    [
        ("sample repository", "git", _LAME_GIT.format(what="fast-import", git=GIT), "out of order"),
        ("project", "git", _LAME_GIT.format(what="clone", git=GIT), "out of order"),
        ("session main", "python3", "#!/bin/sh\nexit 7\n", "error"),
        ("session faster-harmonics", "git", _LAME_GIT.format(what="=faster-harmonics", git=GIT), "out of order"),
        ("session import-stations", "git", _LAME_GIT.format(what="=import-stations", git=GIT), "out of order"),
        ("command in a session", "test", "#!/bin/sh\nexit 9\n", "it ended with 9"),
        ("stop a session", "test", f"#!/bin/sh\n{_NO_STORE}\n", "store"),
        ("thrown away", "test", f"#!/bin/sh\n{_MOUNT}\n", "is still there"),
    ],
)
def test_each_step_that_fails_is_told_and_the_exit_code_says_so(
    alone: InstalledRelay, tmp_path: Path, step: str, program: str, script: str, words: str
) -> None:
    if step == "thrown away" and os.geteuid():
        missing("only root may mount what cannot be thrown away")
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name, text in {"bwrap": _NOT_ISOLATED, program: script}.items():
        (bin_dir / name).write_text(text)
        (bin_dir / name).chmod(0o755)
    lame = replace(alone, more={**alone.more, "PATH": f"{bin_dir}:{os.environ['PATH']}"})
    try:
        done = lame.run("demo")
        failed = [line for line in done.out.splitlines() if " FAILED " in line]
        assert done.code == 1, (done.out, done.err)
        assert len(failed) == 1, done.out
        assert re.match(rf" *\d+\.\d\ds {step} +FAILED ", failed[0]), failed
        assert words in failed[0]
        assert done.out.splitlines()[-1].endswith(f"FAILED: {step}")
        assert step == "thrown away" or not list(_home(alone).glob("*"))
    finally:
        for mount in _home(alone).glob("demo/*/data/projects/*/sessions/*/m"):
            subprocess.run(("umount", mount), check=True)
        wait_until(lambda: not _at_work(alone), 10)


def test_without_git_it_says_so_in_a_sentence_and_names_the_command(alone: InstalledRelay, tmp_path: Path) -> None:
    rm = shutil.which("rm")
    assert rm
    (tmp_path / "rm").symlink_to(rm)
    done = replace(alone, more={**alone.more, "PATH": str(tmp_path)}).run("demo", "--headless")
    assert done.code == 1
    assert re.search(r"sample repository +FAILED git is not installed: There is no git in \$PATH\.", done.out)
    assert "Install it: sudo apt-get install git" in done.err
    assert not list(_home(alone).glob("*"))


def test_killed_in_each_of_its_phases_the_next_clears_it_up(alone: InstalledRelay) -> None:
    for line in ("stop a session", "sample repository", "session main"):
        killed = _with_one_running(alone, line)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert any(path.is_dir() for path in (_home(alone) / "demo").iterdir())
    assert _at_work(alone)  # what it began outlives it
    (_home(alone) / "demo/1m0000000orphan.lock").touch()  # killed before its directory was made, or after it went
    done = alone.run("demo")
    assert done.code == 0, (done.out, done.err)
    assert "cleared up first: 1 that had been killed" in done.out
    assert not list(_home(alone).glob("*"))
    wait_until(lambda: not _at_work(alone), 10)


def test_two_at_once_do_each_other_no_harm(alone: InstalledRelay) -> None:
    both = [alone.begin("demo", "--headless") for _ in range(2)]
    ends = [(demo.communicate(timeout=60), demo.returncode) for demo in both]
    assert [code for _, code in ends] == [0, 0], ends
    assert not any(b"cleared up" in out for (out, _), _ in ends)
    assert not list(_home(alone).glob("*"))
    wait_until(lambda: not _at_work(alone), 10)


@pytest.mark.parametrize("lacking", ["HOME", "TMPDIR", "a full /tmp"])
def test_it_needs_neither_a_home_nor_room_for_scratch(alone: InstalledRelay, tmp_path: Path, lacking: str) -> None:
    env = alone.env
    with ExitStack() as stack:
        if lacking == "HOME":
            env.pop("HOME", "")
        elif lacking == "TMPDIR":
            env["TMPDIR"] = "/proc"
        else:
            disk = stack.enter_context(small_disk(tmp_path / "scratch", "1m"))
            disk.fill()
            env["TMPDIR"] = str(tmp_path / "scratch")
        done = subprocess.run((PROGRAM, "demo", "--headless"), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert not list(_home(alone).glob("*"))


def test_a_state_directory_that_cannot_be_written_is_named(alone: InstalledRelay) -> None:
    error = replace(alone, more={**alone.more, "XDG_STATE_HOME": "/proc"}).run("demo", "--headless")
    assert error.code == 1
    assert "Cannot create the demo's directory" in error.out
    assert "$XDG_STATE_HOME" in error.err


def test_a_terminal_that_is_closed_takes_everything_with_it(alone: InstalledRelay, open_screen: Open) -> None:
    screen = open_screen("demo", width=140, height=40, **alone.env)
    screen.wait_for(r"● running +main ", 30)
    screen.close()
    wait_until(lambda: not list(_home(alone).glob("*")) and not _at_work(alone), 20)


# --- over an engine ---

_PYTHON = """#!/bin/sh
case "$*" in
    "-c import http.server, unittest") {proof};;
    *tidewatch.serve) while :; do echo "GET /tide/bergen"; sleep 1; done;;
    *tidewatch.importer*) echo "tidewatch: cannot import data/north-sea.csv: line 3" >&2; exit 1;;
    *unittest*) echo "Ran 8 tests";;
esac
"""


@pytest.fixture
def with_image(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Callable[[str], InstalledRelay]]:
    """relay whose image has what the demo takes for Python; what it is asked first runs `proof`."""
    tags: list[str] = []

    def make(proof: str) -> InstalledRelay:
        tag = f"relay-test/demo-{os.getpid()}-{len(tags)}"
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo("bin/python3")
            data = _PYTHON.format(proof=proof).encode()
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
        made = engine.containers.create(IMAGE)
        try:
            made.put_archive("/", buffer.getvalue())
            made.commit(tag)
        finally:
            made.remove()
        tags.append(tag)
        relay = InstalledRelay(tmp_path)
        relay.config.write_text(f'image = "{tag}"\n')
        return relay

    yield make
    clear_engine(engine, tmp_path)
    for tag in tags:
        engine.images.remove(tag, force=True)


def _containers(engine: docker.DockerClient, root: Path) -> list[str]:
    listed = engine.containers.list(all=True, filters={"label": "relay.data-dir"}, ignore_removed=True)
    return [str(found.id) for found in listed if found.labels["relay.data-dir"].startswith(f"{root}/")]


@pytest.mark.engine
def test_with_an_image_the_sessions_are_containers_also_when_killed(
    engine: docker.DockerClient, with_image: Callable[[str], InstalledRelay]
) -> None:
    relay = with_image("exit 0")
    killed = _with_one_running(relay)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert _containers(engine, relay.root)
    done = relay.run("demo", "--json")
    assert (done.code, done.document["runtime"]) == (0, "docker"), (done.out, done.err)
    assert not _containers(engine, relay.root)
    assert not list(_home(relay).glob("*"))


@pytest.mark.engine
def test_killed_while_it_tries_the_image_it_leaves_no_container(
    engine: docker.DockerClient, with_image: Callable[[str], InstalledRelay]
) -> None:
    relay = with_image("sleep 60")
    begun = relay.begin("demo", "--headless")
    wait_until(lambda: _containers(engine, relay.root), 20)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    relay = with_image("exit 1")  # has no Python after all
    done = relay.run("demo", "--json")
    assert (done.code, done.document["runtime"]) == (0, "process"), (done.out, done.err)
    assert not _containers(engine, relay.root)


# --- texts about the demo ---


def test_the_readme_has_one_command_that_ends_in_the_demo_and_says_what_an_engine_gives() -> None:
    start = (Path(__file__).parents[1] / "README.md").read_text().split("## Quick start")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", start, re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if ".venv" in line] == [blocks[0].strip()]
    assert blocks[0].strip().endswith("&& .venv/bin/relay demo")
    assert "Python 3.11 or newer, pip and git, as an ordinary user" in start
    assert any("engine adds" in line for line in start.splitlines())


# --- the hints ---


@pytest.mark.parametrize(
    ("size", "seen"), [((160, 45), "select a session; its log is below"), ((80, 24), "j k choose")]
)
async def test_the_hints_fit_and_go(rig: Rig, size: tuple[int, int], seen: str) -> None:
    async with shown(rig, size) as screen:
        panel = HintsPanel("A sample.", hints(), ascii_only=screen.main.glyphs is formatting.ASCII)
        await screen.main.mount(panel, before="#keys")
        await screen.sees(seen)
        assert all(keys in screen.text for keys, _, _ in hints())
        await screen.press("z", "escape")
        assert screen.main.query(HintsPanel)  # esc left the zoom
        await screen.press("escape")
        await screen.until(lambda: not screen.main.query(HintsPanel))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A relay over an empty data dir."""
    monkeypatch.chdir(tmp_path)
    return build(Path("data"))
