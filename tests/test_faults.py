"""Environment faults on the real parts: nothing is lost, the fault is reported, and relay works afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from conftest import Open
from faults import SmallDisk, add_demo, containers_of, fault, no_bug_logged, only_session, small_disk
from git_servers import make_repository
from installed_relay import IMAGE, InstalledRelay, clear_engine

from relay_tui.bootstrap import container
from relay_tui.domain.errors import FileSystemError
from relay_tui.ports.task import TaskContext

MiB = 1 << 20


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
    assert (row["clone_state"], fault(row["clone_error"])["title"]) == ("error", "The disk is full")
    assert relay.left() == {f"projects/{row['id']}"}

    disk.make_room("64m")
    assert relay.json("project", "retry", "demo")["clone_state"] == "ready"
    assert only_session(relay)["state"] == "running"


@pytest.mark.engine
def test_disk_full_while_cloning_a_session(
    relay: InstalledRelay, disk: SmallDisk, client: docker.DockerClient, tmp_path: Path
) -> None:
    source = make_repository(tmp_path / "demo", files={"big": os.urandom(4 * MiB)})
    error = relay.fails(1, "project", "add", source, "--image", IMAGE)
    assert (error["kind"], error["title"]) == ("file-system", "Cloning: The disk is full")
    assert str(relay.data) in error["detail"]
    row = only_session(relay)
    assert (row["state"], fault(row["error_reason"])["title"]) == ("error", "Cloning: The disk is full")
    assert not list(relay.data.rglob("*.partial-*"))
    assert not list(Path(str(row["work_dir"])).iterdir())
    [project] = relay.run("project", "list", "--json").rows
    assert project["clone_state"] == "ready"

    disk.make_room("64m")
    assert relay.json("session", "retry", "main")["state"] == "running"
    assert (Path(str(row["work_dir"])) / "big").stat().st_size == 4 * MiB
    assert len(containers_of(client, relay)) == 1


@pytest.mark.engine
def test_disk_full_while_writing_the_store(
    relay: InstalledRelay, disk: SmallDisk, client: docker.DockerClient, tmp_path: Path, open_screen: Open
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    screen = open_screen()
    screen.wait_for("● running +main")
    disk.fill()
    before = (relay.data / "store.json").read_bytes()

    error = relay.fails(1, "session", "create", "demo", "--name", "second")
    assert (error["kind"], error["title"]) == ("file-system", "The disk is full")
    assert str(relay.data / "store.json") in error["detail"]
    assert relay.fails(1, "project", "add", tmp_path / "demo", "--name", "other")["title"] == "The disk is full"
    assert (relay.data / "store.json").read_bytes() == before
    assert not list(relay.data.glob("store.json.tmp*"))
    assert only_session(relay)["state"] == "running"

    screen.press("f")
    client.containers.get(str(only_session(relay)["container_id"])).kill()
    screen.wait_for("✗ failed +main")  # what is, whether it can be written or not
    screen.wait_for("relay .* The disk is full")
    assert only_session(relay)["state"] == "running"

    disk.make_room()
    screen.wait_gone("The disk is full")
    screen.press("R")
    screen.wait_for("● running +main")
    assert relay.json("session", "create", "demo", "--name", "second")["state"] == "running"
    screen.wait_for("● running +second", timeout=2)
    screen.press("S")
    screen.wait_for("○ stopped +main")
    screen.press("q")
    assert screen.wait_end() == 0
    assert relay.json("session", "remove", "main", "--force")["deleted_at"]
    no_bug_logged(relay)


@pytest.mark.engine
def test_full_disk_does_not_keep_one_from_making_room(
    relay: InstalledRelay, disk: SmallDisk, client: docker.DockerClient, tmp_path: Path
) -> None:
    """Removing and purging is what one does when the disk is full, so it must work with next to nothing left."""
    add_demo(relay, make_repository(tmp_path / "demo", files={"big": os.urandom(MiB)}))
    relay.json("session", "create", "demo", "--name", "second")
    disk.fill(leave=32 * 1024)
    relay.json("session", "remove", "second", "--force")
    assert int(str(relay.json("purge", "--older-than", "0")["freed"])) > 2 * MiB
    assert len(containers_of(client, relay)) == 1


@pytest.mark.engine
@pytest.mark.usefixtures("client")
def test_data_dir_that_became_read_only(
    relay: InstalledRelay, disk: SmallDisk, tmp_path: Path, open_screen: Open
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    disk.read_only(True)
    assert only_session(relay)["name"] == "main"
    assert relay.run("session", "show", "main").code == 0
    for arguments in (("session", "stop", "main"), ("session", "create", "demo", "--name", "second")):
        error = relay.fails(1, *arguments)
        assert error["kind"] == "file-system"
        assert "Read-only file system" in error["detail"]
        assert error["hint"]
    screen = open_screen()
    screen.wait_for("● running +main")
    screen.wait_for("relay .* Cannot write to the data directory")
    screen.press("S")
    screen.wait_for("Read-only file system")
    screen.wait_for("● running +main")  # once the message no longer covers it

    disk.read_only(False)
    screen.press("S")
    screen.wait_for("○ stopped +main")
    screen.press("q")
    assert screen.wait_end() == 0
    no_bug_logged(relay)


@pytest.mark.engine
def test_what_no_full_disk_took_can_be_restored_when_there_is_room(
    relay: InstalledRelay, disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    relay.json("session", "create", "demo", "--name", "second")
    gone = str(relay.json("session", "remove", "second", "--force")["id"])
    for name, value in relay.env.items():
        monkeypatch.setenv(name, value)
    here = container.build_relay(relay.data)
    disk.fill()
    with pytest.raises(FileSystemError, match="The disk is full"):
        here.sessions.restore(gone)
    disk.make_room()
    here.sessions.restore(gone)  # the claim of the first attempt does not block this one
    assert here.sessions.build(gone, TaskContext()).state == "running"
