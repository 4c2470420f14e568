"""A session that fills the disk can be stopped, removed and purged while the disk is full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from conftest import missing
from faults import no_bug_logged, small_disk
from git_servers import make_repository
from installed_relay import IMAGE, InstalledRelay, clear_engine
from waiting import wait_until

from relay_tui.adapters.process import sandbox
from relay_tui.adapters.process.supervisor.journal import STDERR, STDOUT, Reader, Writer, segments
from relay_tui.adapters.store import TinyDBStore
from relay_tui.adapters.store.disk_reserve import SLOTS
from relay_tui.domain.errors import FileSystemError
from relay_tui.domain.models import Project

_CONFIG = f"""
image = "{IMAGE}"
[profiles.yes]
command = "yes 0123456789"
tty = false
[profiles.hog]
command = "while [ ! -e go ]; do sleep 0.05; done; while :; do cat /dev/zero >> junk; sleep 0.02; done 2>/dev/null"
tty = false
"""


def test_the_reserve_takes_what_is_urgent_and_nobody_snatches_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "8m") as disk:
        store = TinyDBStore(disk.path / "store.json")

        def put(name: str, *, urgent: bool) -> None:
            with store.transaction(urgent=urgent) as change:
                change.put(Project(id="p1", name=name, source="https://example.org/x.git"))
            assert TinyDBStore(disk.path / "store.json").read().projects["p1"].name == name

        for round_ in range(2):
            put(f"with room {round_}", urgent=False)
            disk.fill()
            for number in range(SLOTS):
                with pytest.raises(FileSystemError, match="The disk is full"):
                    put("no room", urgent=False)
                put(f"{round_} {number}", urgent=True)
                disk.fill()  # whatever that freed
            with pytest.raises(FileSystemError, match="The disk is full"):
                put("no reserve", urgent=True)
            assert TinyDBStore(disk.path / "store.json").read().projects["p1"].name == f"{round_} {SLOTS - 1}"
            disk.make_room()


def test_a_log_leaves_the_disk_room_and_counts_what_it_drops(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "12m") as disk:
        floor = shutil.disk_usage(disk.path).total // 10
        log = disk.path / "log"
        writer = Writer(log, kept=3)
        block = b"0123456789\n" * 5_000 + b"01234"
        for _ in range(60):  # 3 MB: it gives up what is older
            writer.write(STDOUT, block)
            assert shutil.disk_usage(disk.path).free > floor
        before = segments(log)
        assert len(before) > 1
        disk.fill(leave=65_536)
        writer.write(STDOUT, block)
        assert len(segments(log)) == 1  # of its own it gave up what it could
        disk.fill(leave=65_536)
        for _ in range(3):
            writer.write(STDERR, b"lost\n" * 10 + b"cut ")
            assert shutil.disk_usage(disk.path).free <= floor
        disk.make_room()
        writer.write(STDERR, b"here\nwhole again\n")
        disk.fill(leave=65_536)
        writer.write(STDOUT, b"rest of a line\ngone\n")
        writer.close()
        said = b"".join(entry.data for entry in Reader(log, tail=4, follow=False).entries())
        assert b"\nrelay dropped 5032 lines: the disk is full\nwhole again\n" in said
        assert said.endswith(b"\nrelay dropped 1 line: the disk is full\n")


@pytest.fixture(params=["docker", "process"])
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstalledRelay]:
    """relay over one kind of runtime, on a disk of its own of 12 MiB, with a project `demo` whose session is quiet."""
    relay = InstalledRelay(tmp_path / "relay")
    client: docker.DockerClient | None = request.getfixturevalue("engine") if request.param == "docker" else None
    if client is None and not (found := sandbox.probe(tmp_path / "data")).works:
        missing(found.words)
    with small_disk(relay.data, "12m"):
        relay.config.write_text(_CONFIG)
        relay.json("project", "add", make_repository(tmp_path / "demo"), "--name", "demo", "--runtime", request.param)
        yield relay
        for row in relay.run("session", "list", "--json").rows:
            relay.run("session", "remove", str(row["id"]), "--force")
        relay.run("project", "remove", "demo", "--yes")
        if client is not None:
            clear_engine(client, relay.root)


def _hog(relay: InstalledRelay, name: str) -> Path:
    """A session that has filled the disk, and takes whatever is freed from then on; its junk."""
    made = relay.json("session", "create", "demo", "--name", name, "--profile", "hog")
    junk = Path(str(made["work_dir"])) / "junk"
    junk.with_name("go").touch()
    wait_until(lambda: junk.exists() and not _free(relay))
    error = relay.fails(1, "session", "create", "demo", "--name", "more")
    assert error["title"] == "The disk is full"
    return junk


def _free(relay: InstalledRelay) -> int:
    return shutil.disk_usage(relay.data).free


def _purge(relay: InstalledRelay) -> None:
    assert int(str(relay.json("purge", "--older-than", "0")["freed"])) > 4 << 20
    assert _free(relay) > 8 << 20


@pytest.mark.engine
def test_what_fills_the_disk_can_be_ended_and_removed(relay: InstalledRelay) -> None:
    junk = _hog(relay, "one")
    done = relay.run("session", "restart", "one", "--json")
    if done.code:  # it was stopped, and there is no room for another start
        assert "The disk is full" in done.error["title"]
        assert relay.json("session", "show", "one")["state"] == "error"
    else:
        assert done.document["state"] == "running"
        wait_until(lambda: not _free(relay))
    assert relay.json("session", "stop", "one")["state"] == "stopped"
    size = junk.stat().st_size
    states = {row["name"]: row["state"] for row in relay.run("session", "list", "--json").rows}
    assert states == {"main": "running", "one": "stopped"}
    assert junk.stat().st_size == size
    assert relay.json("session", "remove", "one", "--force")["deleted_at"]
    _purge(relay)

    _hog(relay, "two")
    assert relay.run("project", "remove", "demo", "--yes").code == 0
    _purge(relay)
    assert relay.run("project", "list", "--json").rows == []
    assert not [name for name in relay.left() if name.startswith(("trash/", "projects/", "processes/"))]
    no_bug_logged(relay)


@pytest.mark.engine
@pytest.mark.parametrize("relay", ["process"], indirect=True)
def test_a_process_does_not_fill_the_disk_with_its_log(relay: InstalledRelay) -> None:
    made = relay.json("session", "create", "demo", "--name", "yes", "--profile", "yes")
    assert made["state"] == "running"
    log = relay.data / "processes" / str(made["id"]) / "log"
    wait_until(lambda: min(segments(log)) > 3, 30)  # it has gone round
    assert _free(relay) > 1 << 20
    assert relay.run("session", "logs", "yes", "--tail", "2").out.count("0123456789") >= 1
    assert relay.json("session", "create", "demo", "--name", "more")["state"] == "running"
    assert relay.json("session", "stop", "yes")["state"] == "stopped"
