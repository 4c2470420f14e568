"""Faults of the engine, its containers and images, and git servers: unreachable and back while relay runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from conftest import Open
from faults import (
    Relayed,
    add_demo,
    containers_of,
    fault,
    no_bug_logged,
    only_session,
    relayed_engine,
    relayed_port,
)
from git_servers import http_server, make_repository
from installed_relay import IMAGE, InstalledRelay
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime

COUNTING = """
profile = "count"
runtime = "docker"
[profiles.count]
command = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"
"""


@dataclass(frozen=True)
class Away:
    """relay, and an engine that can go away from it."""

    relay: InstalledRelay
    engine: Relayed
    host: str


@pytest.fixture
def away(client: docker.DockerClient, relay: InstalledRelay, tmp_path: Path) -> Iterator[Away]:
    """The real engine behind a socket of the test's own."""
    del client
    relay.config.write_text(COUNTING)
    with relayed_engine(tmp_path / "engine.sock") as engine:
        host = f"unix://{tmp_path}/engine.sock"
        yield Away(InstalledRelay(relay.root, {"DOCKER_HOST": host}), engine, host)


@pytest.mark.engine
def test_engine_stops_and_comes_back_with_sessions_running(
    away: Away, client: docker.DockerClient, open_screen: Open, tmp_path: Path
) -> None:
    relay = away.relay
    add_demo(relay, make_repository(tmp_path / "demo"))
    relay.json("session", "create", "demo", "--name", "second")
    screen = open_screen(DOCKER_HOST=away.host)
    screen.wait_for("● running +main")
    screen.wait_for("2 running")
    screen.press("j")
    screen.wait_for("─ demo/second")
    before = int(screen.wait_for(r"tick (\d+)"))

    away.engine.stop()
    screen.wait_for("engine down: .*engine.sock", timeout=5)
    screen.wait_for(r"\? unknown +main")
    screen.wait_for(r"\? unknown +second")
    assert [row["name"] for row in relay.run("session", "list", "--json").rows] == ["main", "second"]
    error = relay.fails(5, "session", "restart", "main")
    assert (error["kind"], bool(error["hint"])) == ("engine-unreachable", True)
    screen.wait_for("✗ failed +main +demo +Stopping: The engine does not answer", timeout=3)

    away.engine.start()
    screen.wait_gone("engine down", timeout=10)
    screen.wait_for("● running +second")
    screen.wait_for("● running +main")  # what was asked for and could not be done is done now
    wait_until(lambda: int(screen.wait_for(r"tick (\d+)")) > before + 40, 20, "the log went on by itself")
    screen.press("q")
    assert screen.wait_end() == 0
    assert len(containers_of(client, relay)) == 2
    no_bug_logged(relay)


@pytest.mark.engine
def test_engine_that_was_never_there_and_then_is(
    away: Away, client: docker.DockerClient, open_screen: Open, tmp_path: Path
) -> None:
    relay = away.relay
    away.engine.stop()
    screen = open_screen(DOCKER_HOST=away.host)
    screen.wait_for("engine down")
    source = make_repository(tmp_path / "demo")
    error = relay.fails(5, "project", "add", source, "--image", IMAGE)
    assert error["kind"] == "engine-unreachable"
    assert error["hint"]
    row = only_session(relay)
    assert fault(row["error_reason"])["kind"] == "engine-unreachable"
    assert (Path(str(row["work_dir"])) / "README.md").exists()
    screen.wait_for("✗ failed +main .*The engine does not answer")

    away.engine.start()
    screen.wait_for("● running +main", timeout=10)  # what was asked for is done as soon as it can be
    assert only_session(relay)["state"] == "running"
    assert len(containers_of(client, relay)) == 1


@pytest.mark.engine
def test_container_removed_by_another_tool(
    relay: InstalledRelay, client: docker.DockerClient, open_screen: Open, tmp_path: Path
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    row = only_session(relay)
    work = Path(str(row["work_dir"])) / "work"
    work.write_text("unsaved")
    screen = open_screen()
    screen.wait_for("● running +main")
    client.containers.get(str(row["container_id"])).remove(force=True)
    screen.wait_for("✗ failed +main +demo +The container is gone", timeout=2)
    assert relay.fails(3, "session", "logs", "main")["title"] == "The container is gone"
    screen.press("R")
    screen.wait_for("● running +main")
    again = only_session(relay)
    assert again["container_id"] != row["container_id"]
    assert containers_of(client, relay) == [again["container_id"]]
    assert work.read_text() == "unsaved"
    screen.press("q")
    assert screen.wait_end() == 0
    no_bug_logged(relay)


@pytest.mark.engine
def test_container_removed_while_no_relay_looked(
    relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    client.containers.get(str(only_session(relay)["container_id"])).remove(force=True)
    assert "note on main: The container is gone" in relay.run("reconcile", "--dry-run").out
    assert relay.run("reconcile").code == 0
    assert (
        fault(only_session(relay)["error_reason"])["hint"] == "Run relay session retry demo/main to create a new one."
    )
    assert relay.json("session", "retry", "main")["state"] == "running"


@pytest.mark.engine
def test_image_deleted_under_a_session(relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path) -> None:
    name = f"relay-test/gone-{os.getpid()}"
    client.images.get(IMAGE).tag(name)
    add_demo(relay, make_repository(tmp_path / "demo"))
    made = relay.json("session", "create", "demo", "--name", "second", "--image", name)
    work = Path(str(made["work_dir"])) / "work"
    work.write_text("unsaved")
    client.images.remove(name, force=True)

    assert relay.json("session", "restart", "second")["state"] == "running"  # the container has it still
    client.containers.get(str(made["container_id"])).remove(force=True)
    relay.run("reconcile")
    error = relay.fails(1, "session", "retry", "second")
    assert error["kind"] == "engine"
    assert f"Cannot pull the image {name}" in error["title"]
    assert error["hint"]
    assert relay.json("session", "show", "second")["state"] == "error"
    assert work.read_text() == "unsaved"
    assert len(containers_of(client, relay)) == 1

    client.images.get(IMAGE).tag(name)
    try:
        assert relay.json("session", "retry", "second")["state"] == "running"
    finally:
        client.images.remove(name, force=True)
    assert work.read_text() == "unsaved"


@pytest.mark.engine
def test_git_server_that_dies_in_the_middle_of_a_clone(
    relay: InstalledRelay, client: docker.DockerClient, open_screen: Open, tmp_path: Path
) -> None:
    make_repository(tmp_path / "served/demo.git", bare=True, files={"big": os.urandom(400_000)})
    with (
        http_server(tmp_path / "served", hold_after=100_000) as server,
        relayed_port(int(server.url.rpartition(":")[2])) as line,
    ):
        source = f"http://127.0.0.1:{line.port}/demo.git"
        screen = open_screen()
        screen.wait_for("Press N to add a repository")
        process = relay.begin("project", "add", source, "--image", IMAGE, "--json")
        assert server.holding.wait(20)
        screen.wait_for("demo", timeout=2)
        line.stop()
        _, words = process.communicate(timeout=20)
        assert process.returncode == 1
        assert b'"kind": "git"' in words
        assert b"The connection was interrupted" in words
        [row] = relay.run("project", "list", "--json").rows
        assert row["clone_state"] == "error"
        assert relay.left() == {f"projects/{row['id']}"}
        screen.wait_for("✗ +demo +The connection", timeout=2)

        assert relay.fails(1, "project", "retry", "demo")["title"] == "The server refuses the connection"
        line.start()
        server.release()
        assert relay.json("project", "retry", "demo")["clone_state"] == "ready"
    screen.wait_for("● running +main")
    assert len(containers_of(client, relay)) == 1
    no_bug_logged(relay)


@pytest.mark.engine
def test_what_cannot_be_seen_is_said(away: Away, tmp_path: Path) -> None:
    relay = away.relay
    add_demo(relay, make_repository(tmp_path / "demo"))
    following = relay.begin("session", "logs", "-f", "main")
    assert following.stdout is not None
    assert following.stdout.readline().startswith(b"tick")
    away.engine.stop()
    _, words = following.communicate(timeout=20)
    assert following.returncode == 5  # an end that is none
    assert b"The log was interrupted" in words
    assert b"--since 20" in words
    for arguments in (("reconcile",), ("reconcile", "--dry-run")):
        done = relay.run(*arguments)
        assert (done.code, done.out) == (5, "Nothing to do (some runtimes could not be checked).\n")
        assert "the engine does not answer" in done.err
    assert relay.run("reconcile", "--json").document["unseen"] == ["docker"]
    listed = relay.run("session", "list")
    assert (listed.code, "unknown" in listed.out, "running" in listed.out) == (0, True, False)


@pytest.mark.engine
def test_an_engine_that_never_answers_holds_nothing_up(
    relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path
) -> None:
    del client
    add_demo(relay, make_repository(tmp_path / "demo"))
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        cut_off = InstalledRelay(relay.root, {"DOCKER_HOST": f"unix://{tmp_path}/mute.sock"})
        listed = cut_off.run("session", "list")  # within the time that a run is given, not the engine's minutes
        refused = cut_off.fails(4, "session", "create", "demo", "--name", "second", "--runtime", "auto")
    assert "the project's other session is a container" in refused["title"]
    assert (listed.code, "unknown" in listed.out) == (0, True)
    assert "does not answer" in listed.err


@pytest.mark.engine
def test_the_command_line_tells_what_is_without_a_screen(
    relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    container = client.containers.get(str(only_session(relay)["container_id"]))
    container.kill()
    assert relay.json("session", "retry", "main")["state"] == "running"  # although the row still showed it as running
    client.containers.get(str(only_session(relay)["container_id"])).kill()
    assert only_session(relay)["state"] == "error"
    relay.json("session", "retry", "main")

    (paused,) = containers_of(client, relay)
    client.containers.get(paused).pause()
    assert fault(only_session(relay)["error_reason"])["title"] == "Paused by another tool"
    assert relay.json("session", "start", "main")["state"] == "running"
    client.containers.get(paused).pause()
    assert relay.json("session", "retry", "main")["container_id"] == paused  # what ran in it still runs
    assert client.containers.get(paused).status == "running"

    link = tmp_path / "link"
    link.symlink_to(relay.data)
    assert relay.json("reconcile", "--data-dir", link) == {"done": [], "unknown": [], "unseen": []}


@pytest.mark.engine
def test_running_though_it_is_to_be_stopped(
    relay: InstalledRelay, client: docker.DockerClient, open_screen: Open, tmp_path: Path
) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    relay.json("session", "stop", "main")
    screen = open_screen()
    screen.wait_for("○ stopped +main")
    (container,) = containers_of(client, relay)
    client.containers.get(container).start()
    wait_until(lambda: client.containers.get(container).status == "exited", 30)
    screen.wait_for("○ stopped +main")
    no_bug_logged(relay)


@pytest.mark.engine
@pytest.mark.parametrize("closed", ["chown 61234 /workspace", "chmod 0 /workspace"])
def test_a_clone_that_its_session_gave_away_or_closed(
    relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path, closed: str
) -> None:
    """As root, whom nothing is closed to, the same is seen from the runtime: it can take a directory back."""
    relay.config.write_text('[profiles.default]\nuser = "0:0"\ncapabilities = ["CHOWN"]\n')
    add_demo(relay, make_repository(tmp_path / "demo"))
    made = relay.json("session", "create", "demo", "--name", "second")
    work_dir = Path(str(made["work_dir"]))
    assert relay.run("session", "shell", "second", "--", "sh", "-c", closed).code == 0
    assert relay.json("reconcile")["done"] == []
    if closed.startswith("chown"):
        assert work_dir.stat().st_uid == 61234
        DockerRuntime(relay.data, relay.root / "cache").reclaim_ownership(work_dir, IMAGE)
        assert work_dir.stat().st_uid == os.geteuid()
    relay.json("session", "remove", "second", "--force")
    assert not work_dir.exists()
    assert relay.json("purge", "--older-than", "0")["left"] == []
    del client
