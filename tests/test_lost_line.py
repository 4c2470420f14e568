"""Terminal closed while a shell of a session uses it: the shell ends, the programs of the session keep running."""

from __future__ import annotations

import time
from pathlib import Path

import docker
import pytest
from conftest import Open
from git_servers import make_repository
from installed_relay import InstalledRelay
from waiting import wait_until


def running(command: str) -> list[str]:
    """The processes of this machine with that command line, by their numbers: those of containers are among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").rstrip("\0").replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        found += [path.parent.name] if words == command else []
    return found


@pytest.mark.parametrize("runtime", ["process", pytest.param("docker", marks=pytest.mark.engine)])
@pytest.mark.parametrize("opened", ["screen", "command"])
def test_a_shell_ends_when_the_line_is_lost(
    relay: InstalledRelay, open_screen: Open, request: pytest.FixtureRequest, runtime: str, opened: str
) -> None:
    if runtime == "docker":
        client = request.getfixturevalue("client")
        assert isinstance(client, docker.DockerClient)
    stays, ends = (f"sleep {number}{time.time_ns() % 10**9}" for number in (1, 2))  # like no other on this machine
    relay.config.write_text(f'[profiles.default]\nimage = "relay-test/git"\ncommand = "exec {stays}"\n')
    source = make_repository(relay.root / "demo")
    relay.json("project", "add", source, "--runtime", runtime, "--not-isolated")
    wait_until(lambda: running(stays))
    try:
        screen = open_screen() if opened == "screen" else open_screen("session", "shell", "main")
        if opened == "screen":
            screen.wait_for("● running +main")
            screen.press("e")
            screen.wait_for("exit returns to relay")
        screen.wait_for("[$#] *$")
        screen.type(ends)
        screen.press("Enter")
        wait_until(lambda: running(ends))
        screen.hang_up()
        wait_until(lambda: not running(ends))
        assert running(stays)
        assert relay.json("session", "show", "main")["state"] == "running"
    finally:
        relay.run("project", "remove", "demo", "--yes")
