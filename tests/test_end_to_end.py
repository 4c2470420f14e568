"""The installed relay on a real terminal, from an empty data dir to running sessions and back to nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from conftest import missing
from git_servers import http_server, make_repository
from installed_relay import IMAGE, PROGRAM, InstalledRelay, clear_engine
from terminal_screen import TerminalScreen
from waiting import wait_until

SECRET = "s3cret-w0rd"
COUNTING = """
profile = "count"
[profiles.count]
command = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"
"""

Open = Callable[..., TerminalScreen]


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """relay over an empty data dir."""
    relay = InstalledRelay(tmp_path / "relay")
    relay.root.mkdir()
    return relay


@pytest.fixture
def with_engine(engine: docker.DockerClient, relay: InstalledRelay) -> Iterator[docker.DockerClient]:
    """The engine, left as it was found."""
    yield engine
    clear_engine(engine, relay.root)


@pytest.fixture
def open_screen(relay: InstalledRelay, tmp_path: Path) -> Iterator[Open]:
    """Opens relay's screen on a terminal of a given size; more of the environment by name."""
    if shutil.which("tmux") is None:
        missing("no tmux")
    opened: list[TerminalScreen] = []

    def open_one(width: int, height: int, term: str = "xterm-256color", **env: str) -> TerminalScreen:
        place = tmp_path / f"terminal-{len(opened)}"
        screen = TerminalScreen(place, [PROGRAM], width=width, height=height, env=relay.env | env, term=term)
        opened.append(screen)
        return screen

    yield open_one
    for screen in opened:
        screen.close()


def _add_project(screen: TerminalScreen, source: str, image: str = "") -> None:
    """Fill in the form for a new project, by keys alone."""
    screen.press("N")
    screen.wait_for("New project")
    screen.fill(source)
    if image:
        screen.move("Tab", "Tab", "Tab")
        screen.fill(image)
    screen.press("Enter")
    screen.wait_gone("New project")


def _nothing_left(relay: InstalledRelay, engine: docker.DockerClient) -> None:
    """Neither a live row nor a container, and no secret anywhere."""
    assert relay.run("project", "list", "--json").rows == []
    assert relay.run("session", "list", "--json").rows == []
    assert engine.containers.list(all=True, filters={"label": f"relay.data-dir={relay.data}"}) == []
    assert list((relay.data / "projects").iterdir()) == []
    assert relay.holds(SECRET) == []


@pytest.mark.engine
def test_from_nothing_to_two_sessions_and_back(
    with_engine: docker.DockerClient, relay: InstalledRelay, open_screen: Open, tmp_path: Path
) -> None:
    relay.config.write_text(COUNTING)
    branches = ("main", "feature/login", "feature/logout", "fix/typo")
    make_repository(tmp_path / "served/demo.git", branches=branches, bare=True, files={"big": os.urandom(400_000)})
    screen = open_screen(160, 45)
    screen.wait_for("Press N to add a repository")
    screen.wait_for("0 projects")

    with http_server(tmp_path / "served", username="ada", password=SECRET, hold_after=100_000) as server:
        _add_project(screen, server.login("demo.git"), IMAGE)
        assert server.holding.wait(20)
        screen.wait_for(r"demo +receiving \d+%")
        server.release()
        screen.wait_for(r"● running +main +")
    screen.wait_for("● +demo +1 ")
    assert not screen.shows(SECRET)

    screen.press("n")
    screen.wait_for("New session of demo")
    screen.wait_for("fix/typo")
    screen.type("log in")
    screen.wait_gone("fix/typo")
    screen.wait_for(r"session +feature-login")
    screen.press("Enter")
    screen.wait_for(r"● running +feature-login +feature/login .*" + IMAGE)
    assert screen.shows(r"● running +main +")
    screen.wait_for(r"2 running")

    first = int(screen.wait_for(r"tick (\d+)"))
    screen.wait_for(rf"tick {first + 60}")

    screen.press("e")
    screen.wait_gone("Sessions")
    screen.type("echo =$((40 + 2))=$RELAY_BRANCH=$PWD=")
    screen.press("Enter")
    screen.wait_for("^=42=feature/login=/workspace=")
    screen.type("exit")
    screen.press("Enter")
    screen.wait_for("Sessions of demo")
    screen.wait_for(r"● running +feature-login")

    screen.press("S")
    screen.wait_for(r"○ stopped +feature-login")
    screen.wait_for(r"1 running")
    screen.press("S")
    screen.wait_for(r"● running +feature-login")

    screen.press("D")
    screen.wait_for("Remove session feature-login")
    screen.wait_for("No unsaved work")
    screen.press("n")
    screen.wait_gone("Remove session feature-login")
    screen.press("D")
    screen.wait_for("Remove session feature-login")
    screen.wait_for("No unsaved work")
    screen.press("y")
    screen.wait_for("Sessions of demo . 1 ")

    screen.wait_for(r"● running +main")
    screen.press("D")
    screen.wait_for("main is the last session of demo")
    assert screen.shows(r"● running +main")
    screen.press("h")
    screen.press("D")
    screen.wait_for("Remove project demo")
    screen.wait_for("No unsaved work")
    screen.wait_for("containers +1")
    screen.press("y")
    screen.wait_for("0 projects")
    screen.wait_for("Press N to add a repository")
    screen.press("q")
    assert screen.wait_end() == 0
    _nothing_left(relay, with_engine)


@pytest.mark.engine
def test_small_old_terminal_without_unicode(
    with_engine: docker.DockerClient, relay: InstalledRelay, open_screen: Open, tmp_path: Path
) -> None:
    relay.config.write_text(COUNTING.replace("echo tick", "echo tïck …"))
    source = make_repository(tmp_path / "demo", branches=("main", "side"))
    screen = open_screen(80, 24, "screen", LANG="C", LC_ALL="C", LC_CTYPE="C")

    def only_ascii() -> None:
        text = "\n".join(screen.lines())
        assert text.isascii(), sorted(set(re.findall(r"[^\x00-\x7f]", text)))

    screen.wait_for("Press N to add a repository")
    only_ascii()
    _add_project(screen, str(source), IMAGE)
    screen.wait_for(r"\* running +main")
    screen.press("Enter")
    screen.wait_for(r"t\?ck \.\.\. \d+")
    only_ascii()
    for key, title in (("?", "Keys"), ("n", "New session of demo")):
        screen.press(key)
        screen.wait_for(title)
        only_ascii()
        screen.press("Escape")
        screen.wait_gone(title)
    screen.press("D")
    screen.wait_for("last session of demo")
    only_ascii()
    screen.press("h")
    screen.press("D")
    screen.wait_for("Remove project demo")
    screen.wait_for("No unsaved work")
    only_ascii()
    screen.press("y")
    screen.wait_for("Press N to add a repository")
    screen.press("q")
    assert screen.wait_end() == 0
    _nothing_left(relay, with_engine)


def test_without_an_engine_the_rest_goes_on(relay: InstalledRelay, open_screen: Open, tmp_path: Path) -> None:
    source = make_repository(tmp_path / "demo")
    relay.config.write_text('runtime = "docker"\n')
    screen = open_screen(120, 36, DOCKER_HOST="unix:///nonexistent")
    screen.wait_for("engine down: .*/nonexistent")
    _add_project(screen, str(source))
    screen.wait_for(r"✗ failed +main .*engine")
    assert [row["clone_state"] for row in relay.run("project", "list", "--json").rows] == ["ready"]
    screen.press("q")
    assert screen.wait_end() == 0


@pytest.fixture
def cloning(relay: InstalledRelay, open_screen: Open, tmp_path: Path) -> Iterator[TerminalScreen]:
    """A screen in the midst of a clone."""
    make_repository(tmp_path / "served/demo.git", bare=True, files={"big": os.urandom(400_000)})
    with http_server(tmp_path / "served", hold_after=100_000) as server:
        screen = open_screen(120, 36, DOCKER_HOST="unix:///nonexistent")
        screen.wait_for("Press N to add a repository")
        _add_project(screen, f"{server.url}/demo.git")
        assert server.holding.wait(20)
        [row] = relay.run("project", "list", "--json").rows
        assert row["clone_state"] == "cloning"
        yield screen


def _stopped_in_good_order(relay: InstalledRelay) -> None:
    """Assert that no git runs, no files of the clone remain, the project is not locked and no bug was logged."""
    [row] = relay.run("project", "list", "--json").rows
    assert row["sessions"] == 0
    assert relay.left() <= {f"projects/{row['id']}"}
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.exists()]
    assert not [line for line in running if line.startswith(b"git\0") and str(relay.data).encode() in line]
    log = relay.root / "state/relay/relay.log"
    assert not log.exists() or "Traceback" not in log.read_text()
    assert relay.run("project", "remove", "demo", "--yes").code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_it_in_good_order(relay: InstalledRelay, cloning: TerminalScreen, number: signal.Signals) -> None:
    os.kill(cloning.pid, number)
    assert cloning.wait_end() == 128 + number
    assert not cloning.shows("Traceback|Error|Projects")
    _stopped_in_good_order(relay)


def test_connection_that_breaks_ends_it_in_good_order(relay: InstalledRelay, cloning: TerminalScreen) -> None:
    pid = cloning.pid
    cloning.hang_up()
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())
    _stopped_in_good_order(relay)
