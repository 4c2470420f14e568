"""`relay reconcile`, restore and purge over a real engine: relays killed, containers gone, work brought back."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from git_servers import make_repository
from installed_relay import IMAGE, InstalledRelay, clear_engine
from waiting import wait_until

pytestmark = pytest.mark.engine


@pytest.fixture
def relay(tmp_path: Path, engine: docker.DockerClient) -> Iterator[InstalledRelay]:
    """The command, with a project `demo` whose first session runs."""
    relay = InstalledRelay(tmp_path)
    source = make_repository(tmp_path / "demo", branches=["main", "topic"])
    assert relay.run("project", "add", source, "--image", IMAGE).code == 0
    yield relay
    clear_engine(engine, tmp_path)


def work_dir(relay: InstalledRelay, session: str) -> Path:
    return Path(str(relay.json("session", "show", session)["work_dir"]))


def sessions(relay: InstalledRelay) -> dict[str, dict[str, object]]:
    return {str(row["name"]): row for row in relay.run("session", "list", "--json").rows}


def test_killed_at_random_instants(relay: InstalledRelay, engine: docker.DockerClient) -> None:
    chance = random.Random(7)
    for number in range(8):
        creating = relay.begin("session", "create", "demo", "--name", f"s{number}")
        with pytest.raises(
            subprocess.TimeoutExpired
        ):  # the wait is the instant: nothing shows from outside how far it is
            creating.wait(chance.uniform(0.05, 0.6))
            raise subprocess.TimeoutExpired("done before", 0)
        creating.send_signal(signal.SIGKILL)
        creating.communicate()
        done = relay.json("reconcile")
        assert done["unknown"] == []
        assert all(step["error"] is None for step in done["done"])  # type: ignore[attr-defined]
        assert relay.json("reconcile") == {"done": [], "unknown": [], "unseen": []}
    label = {"label": f"relay.data-dir={relay.data}"}
    running = {container.labels["relay.session"] for container in engine.containers.list(filters=label)}
    assert running == {row["id"] for row in sessions(relay).values()}
    assert len(engine.containers.list(all=True, filters=label)) == len(running)
    assert not list(relay.data.rglob("*.partial-*"))


def test_a_removed_session_comes_back_with_its_work(relay: InstalledRelay) -> None:
    relay.json("session", "create", "demo", "--name", "fox", "--branch", "topic")
    clone = work_dir(relay, "fox")
    (clone / "untracked").write_bytes(b"\x00work")
    relay.json("session", "remove", "fox", "--force")
    assert not clone.exists()
    relay.json("session", "create", "demo", "--name", "fox")
    back = relay.json("session", "restore", "fox")
    assert back["name"] == "fox-2"
    assert back["state"] == "running"
    assert (clone / "untracked").read_bytes() == b"\x00work"


def test_a_removed_project_comes_back_with_its_sessions(relay: InstalledRelay) -> None:
    relay.json("session", "create", "demo", "--name", "fox")
    (work_dir(relay, "fox") / "untracked").write_text("work")
    relay.json("project", "remove", "demo", "--yes")
    assert sessions(relay) == {}
    relay.json("project", "restore", "demo")
    assert {name: row["state"] for name, row in sessions(relay).items()} == {"main": "running", "fox": "running"}
    assert (work_dir(relay, "fox") / "untracked").read_text() == "work"
    assert relay.json("reconcile") == {"done": [], "unknown": [], "unseen": []}


def test_purge_frees_what_it_says(relay: InstalledRelay) -> None:
    relay.json("session", "create", "demo", "--name", "fox")
    (work_dir(relay, "fox") / "large").write_bytes(bytes(3 << 20))
    relay.json("session", "remove", "fox", "--force")
    assert relay.json("purge") == {"entries": 0, "freed": 0, "left": []}  # its time is not up
    purged = relay.json("purge", "--older-than", "0")
    assert purged["entries"] == 1
    assert 3 << 20 <= int(str(purged["freed"])) < 4 << 20
    assert relay.fails(3, "session", "restore", "fox")["kind"] == "not-found"


def test_what_nobody_knows_is_reported_and_goes_only_when_asked(
    relay: InstalledRelay, engine: docker.DockerClient
) -> None:
    stray = relay.data / "projects" / str(relay.json("project", "show", "demo")["id"]) / "sessions" / "stray"
    make_repository(stray)
    labels = {"relay.data-dir": str(relay.data), "relay.session": "nobody", "relay.project": "nobody"}
    container = engine.containers.create(IMAGE, ["sleep", "60"], labels=labels)
    unknown = relay.json("reconcile")["unknown"]
    assert {step["act"] for step in unknown} == {"unknown-directory", "unknown-container"}  # type: ignore[attr-defined]
    assert stray.exists()
    container.reload()
    adopted = relay.run("reconcile", "--adopt-unknown", "--json")
    assert adopted.code == 1  # the container has no clone
    errors = [row["error"] for row in adopted.document["adopted"]]  # type: ignore[attr-defined]
    assert [error and error["title"] for error in errors] == [None, "A container without a clone cannot be adopted"]
    found = sessions(relay)["main-2"]
    assert (found["id"], found["state"]) == ("stray", "stopped")
    assert relay.json("session", "start", "main-2")["state"] == "running"
    relay.json("session", "remove", "main-2", "--force")
    make_repository(stray)
    relay.json("reconcile", "--trash-unknown")
    assert not stray.exists()
    assert relay.json("reconcile") == {"done": [], "unknown": [], "unseen": []}


def test_a_second_relay_says_who_is_at_work(relay: InstalledRelay) -> None:
    relay.config.write_text('[profiles.stubborn]\ncommand = "trap : TERM; while :; do sleep 1; done"\n')
    relay.json("session", "create", "demo", "--name", "mule", "--profile", "stubborn")
    stopping = relay.begin("session", "stop", "mule")  # takes the engine ten seconds
    try:
        wait_until(lambda: list((relay.data / "locks").glob("*.lock")), 5)
        error = relay.fails(4, "session", "stop", "mule")
        assert f"pid {stopping.pid}" in error["detail"]
        assert "stopping a session" in error["detail"]
    finally:
        stopping.communicate()
    assert sessions(relay)["mule"]["state"] == "stopped"


def test_a_trash_that_takes_too_much_of_the_disk_is_said(relay: InstalledRelay) -> None:
    relay.json("session", "create", "demo", "--name", "fox")
    assert relay.run("session", "remove", "fox", "--force").err == ""
    relay.config.write_text("trash_share = 0.0\n")
    relay.json("session", "create", "demo", "--name", "fox")
    refused = relay.fails(4, "session", "remove", "fox")
    assert refused["title"] == "The trash would use too much of the disk"
    done = relay.run("session", "remove", "fox", "--force")
    assert done.code == 0
    assert "relay purge" in done.err
