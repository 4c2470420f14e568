"""Faults of the world, each on the real thing: nothing is lost, what happened is said, and it goes on afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from conftest import missing
from faults import SmallDisk, small_disk
from git_servers import make_repository
from installed_relay import IMAGE, PROGRAM, InstalledRelay, clear_engine
from terminal_screen import TerminalScreen

COUNTING = """
profile = "count"
[profiles.count]
command = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"
"""
NO_ENGINE = "unix:///nonexistent"
MiB = 1 << 20

Open = Callable[..., TerminalScreen]


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """relay over an empty data dir."""
    relay = InstalledRelay(tmp_path / "relay")
    relay.root.mkdir()
    return relay


@pytest.fixture
def without_engine(relay: InstalledRelay) -> InstalledRelay:
    """The same relay, with an engine that is nowhere."""
    return InstalledRelay(relay.root, {"DOCKER_HOST": NO_ENGINE})


@pytest.fixture
def client(engine: docker.DockerClient, relay: InstalledRelay) -> Iterator[docker.DockerClient]:
    """The engine, left as it was found."""
    yield engine
    clear_engine(engine, relay.root)


@pytest.fixture
def open_screen(relay: InstalledRelay, tmp_path: Path) -> Iterator[Open]:
    """Opens relay's screen on a terminal; more of the environment by name."""
    if shutil.which("tmux") is None:
        missing("no tmux")
    opened: list[TerminalScreen] = []

    def open_one(*arguments: str, width: int = 140, height: int = 36, **env: str) -> TerminalScreen:
        place = tmp_path / f"terminal-{len(opened)}"
        command: list[str | Path] = [PROGRAM, *arguments]
        screen = TerminalScreen(place, command, width=width, height=height, env=relay.env | env)
        opened.append(screen)
        return screen

    yield open_one
    for screen in opened:
        screen.close()


def _add(relay: InstalledRelay, source: Path, *options: str) -> dict[str, object]:
    """A project `demo` with its first session running."""
    return relay.json("project", "add", source, "--name", "demo", "--image", IMAGE, *options)


def _only_session(relay: InstalledRelay) -> dict[str, object]:
    [row] = relay.run("session", "list", "--json").rows
    return row


def _fault(value: object) -> dict[str, str]:
    assert isinstance(value, dict)
    return value


def _no_bug_logged(relay: InstalledRelay) -> None:
    log = relay.root / "state/relay/relay.log"
    assert not log.exists() or "Traceback" not in log.read_text()


def _containers(client: docker.DockerClient, relay: InstalledRelay) -> list[str]:
    return [
        str(found.id) for found in client.containers.list(all=True, filters={"label": f"relay.data-dir={relay.data}"})
    ]


# --- the disk is full ------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(relay: InstalledRelay, client: docker.DockerClient) -> Iterator[SmallDisk]:
    """The data dir on a disk of its own of 8 MiB."""
    with small_disk(relay.data, "8m") as disk:
        yield disk
        clear_engine(client, relay.root)


@pytest.mark.engine
def test_disk_full_while_cloning_a_project(relay: InstalledRelay, disk: SmallDisk, tmp_path: Path) -> None:
    source = make_repository(tmp_path / "demo", files={"big": os.urandom(12 * MiB)})
    error = relay.fails(1, "project", "add", source, "--image", IMAGE)
    assert (error["kind"], error["title"]) == ("file-system", "The disk is full")
    assert str(relay.data) in error["detail"]
    assert error["hint"]
    [row] = relay.run("project", "list", "--json").rows
    assert (row["clone_state"], _fault(row["clone_error"])["title"]) == ("error", "The disk is full")
    assert relay.left() == {f"projects/{row['id']}"}

    disk.make_room("64m")
    assert relay.json("project", "retry", "demo")["clone_state"] == "ready"
    assert _only_session(relay)["state"] == "running"


@pytest.mark.engine
def test_disk_full_while_cloning_a_session(
    relay: InstalledRelay, disk: SmallDisk, client: docker.DockerClient, tmp_path: Path
) -> None:
    source = make_repository(tmp_path / "demo", files={"big": os.urandom(4 * MiB)})
    error = relay.fails(1, "project", "add", source, "--image", IMAGE)
    assert (error["kind"], error["title"]) == ("file-system", "Cloning: The disk is full")
    assert str(relay.data) in error["detail"]
    row = _only_session(relay)
    assert (row["state"], _fault(row["error_reason"])["title"]) == ("error", "Cloning: The disk is full")
    assert not list(relay.data.rglob("*.partial-*"))
    assert not list(Path(str(row["work_dir"])).iterdir())
    [project] = relay.run("project", "list", "--json").rows
    assert project["clone_state"] == "ready"

    disk.make_room("64m")
    assert relay.json("session", "retry", "main")["state"] == "running"
    assert (Path(str(row["work_dir"])) / "big").stat().st_size == 4 * MiB
    assert len(_containers(client, relay)) == 1


@pytest.mark.engine
@pytest.mark.usefixtures("client")
def test_disk_full_while_writing_the_store(
    relay: InstalledRelay, disk: SmallDisk, tmp_path: Path, open_screen: Open
) -> None:
    _add(relay, make_repository(tmp_path / "demo"))
    screen = open_screen()
    screen.wait_for("● running +main")
    disk.fill()
    before = (relay.data / "store.json").read_bytes()

    error = relay.fails(1, "session", "create", "demo", "--name", "second")
    assert (error["kind"], error["title"]) == ("file-system", "The disk is full")
    assert str(relay.data / "store.json") in error["detail"]
    assert relay.fails(1, "session", "stop", "main")["title"] == "The disk is full"
    assert (relay.data / "store.json").read_bytes() == before
    assert not list(relay.data.glob("store.json.tmp*"))
    assert _only_session(relay)["state"] == "running"

    screen.press("S")
    screen.wait_for("The disk is full")
    screen.wait_for("Free some space")

    disk.make_room()
    assert relay.json("session", "create", "demo", "--name", "second")["state"] == "running"
    screen.wait_for("● running +second", timeout=2)
    screen.press("S")
    screen.wait_for("○ stopped +main")
    screen.press("q")
    assert screen.wait_end() == 0
    assert relay.json("session", "remove", "main", "--force")["deleted_at"]
    _no_bug_logged(relay)


@pytest.mark.engine
def test_full_disk_does_not_keep_one_from_making_room(
    relay: InstalledRelay, disk: SmallDisk, client: docker.DockerClient, tmp_path: Path
) -> None:
    """Removing and purging is what one does when the disk is full, so it must work with next to nothing left."""
    _add(relay, make_repository(tmp_path / "demo", files={"big": os.urandom(MiB)}))
    relay.json("session", "create", "demo", "--name", "second")
    disk.fill(leave=32 * 1024)
    relay.json("session", "remove", "second", "--force")
    assert int(str(relay.json("purge", "--older-than", "0")["freed"])) > 2 * MiB
    assert len(_containers(client, relay)) == 1


@pytest.mark.engine
@pytest.mark.usefixtures("client")
def test_data_dir_that_became_read_only(
    relay: InstalledRelay, disk: SmallDisk, tmp_path: Path, open_screen: Open
) -> None:
    _add(relay, make_repository(tmp_path / "demo"))
    disk.read_only(True)
    assert _only_session(relay)["name"] == "main"
    assert relay.run("session", "show", "main").code == 0
    for arguments in (("session", "stop", "main"), ("session", "create", "demo", "--name", "second")):
        error = relay.fails(1, *arguments)
        assert error["kind"] == "file-system"
        assert "Read-only file system" in error["detail"]
        assert error["hint"]
    screen = open_screen()
    screen.wait_for("● running +main")
    screen.press("S")
    screen.wait_for("Read-only file system")
    assert screen.shows("● running +main")

    disk.read_only(False)
    screen.press("S")
    screen.wait_for("○ stopped +main")
    screen.press("q")
    assert screen.wait_end() == 0
    _no_bug_logged(relay)
