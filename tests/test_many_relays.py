"""Many relays on one data dir over the real engine: nothing lost, nothing twice, each sees what the others do."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path

import crowd
import docker
import pytest
from conftest import Open
from faults import add_demo, containers_of, no_bug_logged
from git_servers import http_server, make_repository
from installed_relay import IMAGE, InstalledRelay

from relay_tui.bootstrap import container
from relay_tui.ports.task import TaskContext

RELAYS, EACH = 8, 25


@pytest.mark.engine
def test_eight_relays_do_two_hundred_things_at_once(
    relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del client
    source = make_repository(tmp_path / "demo", branches=("main", "side"))
    for name, value in relay.env.items():
        monkeypatch.setenv(name, value)
    done = crowd.together(relay.env, relay.data, source, RELAYS, EACH)
    assert sum(done.operations.values()) == RELAYS * EACH
    assert min(done.operations[name] for name in ("project", "create", "stop", "start", "remove")) > 0
    here = container.build_relay(relay.data)
    failed = [(step.words, error) for step, error in here.reconciler.carry_out_all(TaskContext()) if error]
    assert failed == []
    assert crowd.wrong_with(here, done) == []
    no_bug_logged(relay)


@pytest.mark.engine
def test_sixteen_sessions_at_once_all_run(relay: InstalledRelay, client: docker.DockerClient, tmp_path: Path) -> None:
    add_demo(relay, make_repository(tmp_path / "demo"))
    started = [relay.begin("session", "create", "demo", "--json") for _ in range(16)]
    said = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 16, [words for _, words in said]
    rows = relay.run("session", "list", "--json").rows
    assert Counter(row["state"] for row in rows) == {"running": 17}
    assert len({row["name"] for row in rows}) == 17
    assert sorted(str(row["container_id"]) for row in rows) == sorted(containers_of(client, relay))


@pytest.mark.engine
def test_two_screens_show_each_others_changes_within_a_second(
    relay: InstalledRelay, client: docker.DockerClient, open_screen: Open, tmp_path: Path
) -> None:
    del client
    add_demo(relay, make_repository(tmp_path / "demo"))
    one, two = open_screen(), open_screen()
    for screen in (one, two):
        screen.wait_for("● running +main")
    one.press("S")
    one.wait_for("○ stopped +main")
    two.wait_for("○ stopped +main", timeout=1)
    two.press("S")
    two.wait_for("● running +main")
    one.wait_for("● running +main", timeout=1)
    relay.json("session", "create", "demo", "--name", "third")
    seen = time.monotonic() + 1
    for screen in (one, two):
        screen.wait_for("● running +third", timeout=max(0.1, seen - time.monotonic()))
    for screen in (one, two):
        screen.press("q")
        assert screen.wait_end() == 0
    no_bug_logged(relay)


def test_whoever_is_second_is_told_who_is_first(relay: InstalledRelay, open_screen: Open, tmp_path: Path) -> None:
    make_repository(tmp_path / "served/demo.git", bare=True, files={"big": os.urandom(400_000)})
    relay.config.write_text('runtime = "docker"\n')
    alone = InstalledRelay(relay.root, {"DOCKER_HOST": "unix:///nonexistent"})
    with http_server(tmp_path / "served", hold_after=100_000) as server:
        first = alone.begin("project", "add", f"{server.url}/demo.git", "--image", IMAGE)
        assert server.holding.wait(20)
        for verb in (("retry", "demo"), ("remove", "demo", "--yes")):
            error = alone.fails(4, "project", *verb)
            assert (error["kind"], error["title"]) == ("conflict", "Another relay is working on this")
            assert error["detail"] == f"pid {first.pid}: cloning a project"
            assert error["hint"]
        screen = open_screen(DOCKER_HOST="unix:///nonexistent")
        screen.wait_for("demo")
        screen.press("h")
        screen.press("j")
        screen.wait_for("─ demo")
        screen.press("D")
        screen.wait_for("Remove project demo")
        screen.press("y")
        screen.wait_for(f"pid {first.pid}: cloning a project")
        [row] = alone.run("project", "list", "--json").rows
        assert row["clone_state"] == "cloning"
        server.release()
        first.communicate(timeout=20)
    assert first.returncode == 5
    assert re.search("demo +ready", alone.run("project", "list").out)
