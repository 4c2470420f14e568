"""Unreachable engine: a separate message for each cause, and the command that fixes it."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from http.client import BadStatusLine
from pathlib import Path
from typing import NoReturn

import pytest

from relay_tui.adapters.docker import info as docker_info
from relay_tui.adapters.docker.connection import unreachable
from relay_tui.adapters.docker.connection.address import Address, find_address
from relay_tui.domain.errors import EngineUnreachableError, UnreachableReason

GONE = FileNotFoundError(errno.ENOENT, "No such file or directory")
DEAD = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
DENIED = PermissionError(errno.EACCES, "Permission denied")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with systemd, and nothing else on it."""
    for name in ("systemd", "run", "bin", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(unreachable, "_SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(unreachable, "_SBIN", "")
    return tmp_path


def _environ(box: Path, more: Mapping[str, str]) -> dict[str, str]:
    own = {"HOME": str(box / "home"), "PATH": str(box / "bin"), "XDG_RUNTIME_DIR": str(box / "run")}
    return own | {name: value.format(box=box) for name, value in more.items()}


def _told(box: Path, cause: Exception, **more: str) -> EngineUnreachableError:
    environ = _environ(box, more)
    return unreachable.unreachable_error(cause, find_address(environ), environ)


def _install(box: Path, name: str) -> None:
    (box / "bin" / name).write_text("#!/bin/sh\n")
    (box / "bin" / name).chmod(0o755)


def _context(box: Path, host: str) -> str:
    """A docker context that names the host; answers its configuration directory."""
    import hashlib
    import json

    directory = box / "docker/contexts/meta" / hashlib.sha256(b"lab").hexdigest()
    directory.mkdir(parents=True)
    (directory / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": host}}}))
    return str(box / "docker")


def test_nothing_is_installed(box: Path) -> None:
    told = _told(box, GONE)
    assert (told.silence, told.why) == (UnreachableReason.MISSING, "No container engine is installed")
    assert told.fix == 'sudo apt-get install docker.io && sudo usermod -aG docker "$USER"   # then log in again'
    assert told.hint == f"{told.why}: {told.fix}"


def test_it_is_installed_and_not_started(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(box, "dockerd")
    told = _told(box, GONE)
    assert told.silence is UnreachableReason.STOPPED
    assert (told.why, told.fix) == ("Docker is installed but not running", "sudo systemctl start docker")
    monkeypatch.setattr(unreachable, "_SYSTEMD", box / "none")
    assert _told(box, GONE).fix == "sudo service docker start"


def test_it_ended_and_left_its_socket(box: Path) -> None:
    told = _told(box, DEAD)
    assert told.why == "The engine is not running; its socket still exists"
    assert told.fix == "sudo systemctl restart docker"


def test_a_private_socket_that_nobody_made(box: Path) -> None:
    told = _told(box, GONE, DOCKER_HOST="unix:///opt/lab/docker.sock")
    assert (told.silence, told.fix) == (UnreachableReason.ASTRAY, "unset DOCKER_HOST")
    assert told.why == "The socket from $DOCKER_HOST does not exist"


@pytest.mark.parametrize(("variable", "mend"), [("", "docker context use default"), ("lab", "unset DOCKER_CONTEXT")])
def test_a_context_that_names_another_path(box: Path, variable: str, mend: str) -> None:
    config = _context(box, "unix:///opt/lab/docker.sock")
    (box / "docker/config.json").write_text('{"currentContext": "lab"}')
    told = _told(box, GONE, DOCKER_CONFIG=config, DOCKER_CONTEXT=variable)
    assert (told.why, told.fix) == ("The socket from the docker context lab does not exist", mend)


def test_rootless_docker_that_is_not_started(box: Path) -> None:
    told = _told(box, GONE, DOCKER_HOST="unix://{box}/run/docker.sock")
    assert told.why == "Rootless docker, which $DOCKER_HOST names, is not running"
    assert told.fix == "systemctl --user start docker"
    unit = box / "home/.config/systemd/user/docker.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    told = _told(box, GONE)  # set up, and nothing names it
    assert (told.why, told.fix) == ("Rootless docker is installed but not running", "systemctl --user start docker")


def test_podman_that_is_not_started(box: Path) -> None:
    told = _told(box, DEAD, DOCKER_HOST="unix://{box}/run/podman/podman.sock")
    assert told.why == "Podman is not running; its socket still exists"
    assert told.fix == "systemctl --user restart podman.socket"


def test_an_own_engine_runs_and_nothing_names_it(box: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{box}/run/docker.sock")
        told = _told(box, GONE)
    assert told.fix == f"export DOCKER_HOST=unix://{box}/run/docker.sock"


@pytest.mark.parametrize(
    ("group", "to_come", "why", "mend"),
    [
        ("docker", set(), "Only members of the group docker may use the engine's socket",
         'sudo usermod -aG docker "$USER"   # then log in again'),
        ("docker", {"docker"}, "You were added to the group docker after this login",
         "newgrp docker   # or log in again"),
        ("root", {"docker"}, "Only root may use the engine's socket",
         'sudo groupadd -f docker && sudo usermod -aG docker "$USER" && sudo systemctl restart docker'
         "   # then log in again"),
    ],
)  # fmt: skip
def test_a_socket_without_permission(
    box: Path, monkeypatch: pytest.MonkeyPatch, group: str, to_come: set[str], why: str, mend: str
) -> None:
    path = box / "docker.sock"
    path.touch()
    monkeypatch.setattr(unreachable, "_group_name", lambda _: group)
    monkeypatch.setattr(unreachable, "_pending_groups", lambda: to_come)
    told = unreachable.unreachable_error(DENIED, Address(f"unix://{path}", "unix", path=str(path)), _environ(box, {}))
    assert (told.silence, told.why, told.fix) == (UnreachableReason.FORBIDDEN, why, mend)


def test_a_private_socket_without_permission(box: Path) -> None:
    (box / "lab.sock").touch()
    told = _told(box, DENIED, DOCKER_HOST="unix://{box}/lab.sock")
    assert (told.why, told.fix) == ("You may not use the socket from $DOCKER_HOST", "unset DOCKER_HOST")
    told = _told(box, DENIED, DOCKER_HOST="unix://{box}/secret/lab.sock")
    assert told.why == f"You may not enter the directory of {box}/secret/lab.sock"


@pytest.mark.parametrize(
    ("host", "mend"),
    [
        ("", "sudo systemctl restart docker"),
        ("unix://{box}/run/docker.sock", "systemctl --user restart docker"),
        ("unix://{box}/lab.sock", "unset DOCKER_HOST   # sudo ss -xlp | grep {box}/lab.sock shows the listener"),
    ],
)
def test_a_mute_engine(box: Path, host: str, mend: str) -> None:
    told = _told(box, TimeoutError(), DOCKER_HOST=host)
    assert (told.silence, told.why) == (UnreachableReason.MUTE, "A program listens at this address but does not answer")
    assert told.fix == mend.format(box=box)


@pytest.mark.parametrize("host", ["tcp://build.example:2375", "ssh://me@build.example"])
@pytest.mark.parametrize("cause", [DEAD, TimeoutError(), socket.gaierror(-2, "Name or service not known")])
def test_a_remote_engine_is_not_what_relay_needs(box: Path, host: str, cause: Exception) -> None:
    told = _told(box, cause, DOCKER_HOST=host)
    assert (told.silence, told.fix) == (UnreachableReason.REMOTE, "unset DOCKER_HOST")
    assert told.why == "relay needs an engine on this machine, but $DOCKER_HOST names one on build.example"


@pytest.mark.parametrize(
    ("cause", "why", "mend"),
    [
        (DEAD, "No engine listens at the address from $DOCKER_HOST", "unset DOCKER_HOST"),
        (ssl.SSLError(1, "bad certificate"), "The certificates of $DOCKER_HOST do not match the engine's", "ls -l"),
        (BadStatusLine("SSH-2.0"), "No engine listens at the address from $DOCKER_HOST", "unset DOCKER_HOST"),
    ],
)
def test_a_port_of_this_machine(box: Path, cause: Exception, why: str, mend: str) -> None:
    told = _told(box, cause, DOCKER_HOST="tcp://127.0.0.1:2375")
    assert told.why == why
    assert told.fix.startswith(mend)


def test_what_answers_is_no_engine_or_an_engine_that_ends(box: Path) -> None:
    stranger = ConnectionResetError("the program at this address does not speak HTTP")
    told = _told(box, stranger, DOCKER_HOST="unix:///x.sock")
    assert told.why == "The program at this address is not a container engine"
    cut = ConnectionResetError("the connection ended before the response")
    assert _told(box, cut).why == "The engine ended before it answered"


def test_no_two_causes_share_a_sentence_and_each_has_its_command(box: Path) -> None:
    told = [_told(box, cause) for cause in (GONE, DEAD, TimeoutError(), DENIED)]
    told += [_told(box, cause, DOCKER_HOST="unix:///opt/x.sock") for cause in (GONE, DENIED)]
    told.append(_told(box, DEAD, DOCKER_HOST="ssh://far"))
    assert len({error.why for error in told}) == len(told)
    assert all(error.fix for error in told)


# --- limits ---

INFO = {"CgroupDriver": "systemd", "CgroupVersion": "2", "MemoryLimit": True, "CpuCfsQuota": True, "PidsLimit": True}


def _held(box: Path, info: Mapping[str, object], running: Mapping[str, object] | None = None) -> list[str]:
    found = docker_info.enforced_limits(info, running, here=True, root=box / "cgroup", proc=box / "proc")
    return [name for name, held in found.items() if held]


def _controllers(box: Path, words: str) -> None:
    (box / "cgroup").mkdir(exist_ok=True)
    (box / "cgroup/cgroup.controllers").write_text(words)


def test_limits_that_the_engine_says_it_lacks(box: Path) -> None:
    assert _held(box, INFO) == ["memory", "cpus", "processes"]  # no kernel to look at: it is believed
    assert _held(box, INFO | {"PidsLimit": False}) == ["memory", "cpus"]
    assert _held(box, INFO | {"CgroupDriver": "none"}) == []
    assert _held(box, INFO | {"Warnings": ["WARNING: No memory limit support"]}) == ["cpus", "processes"]
    assert _held(box, INFO | {"CpuCfsPeriod": False}) == ["memory", "processes"]


def test_limits_that_the_kernel_lacks_whatever_the_engine_says(box: Path) -> None:
    _controllers(box, "cpuset cpu io memory pids\n")
    assert _held(box, INFO) == ["memory", "cpus", "processes"]
    _controllers(box, "cpuset io pids\n")
    assert _held(box, INFO) == ["processes"]
    (box / "proc").mkdir()
    (box / "proc/cgroups").write_text("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t9\t1\nmemory\t3\t9\t0\n")
    assert _held(box, INFO | {"CgroupVersion": "1"}) == ["cpus"]


def test_rootless_without_delegation(box: Path) -> None:
    _controllers(box, "cpuset cpu io memory pids\n")
    user = os.getuid()
    own = box / f"cgroup/user.slice/user-{user}.slice/user@{user}.service"
    own.mkdir(parents=True)
    (own / "cgroup.controllers").write_text("memory pids\n")
    assert _held(box, INFO | {"SecurityOptions": ["name=rootless"]}) == ["memory", "processes"]


@pytest.mark.parametrize(
    ("version", "place"), [("2", "0::/docker/abc"), ("1", "7:memory:/docker/abc\n4:pids:/docker/abc")]
)
def test_limits_are_measured_on_a_session_that_runs(box: Path, version: str, place: str) -> None:
    (box / "proc/41").mkdir(parents=True)
    (box / "proc/41/cgroup").write_text(f"{place}\n")
    running = {"Id": "abc", "State": {"Pid": 41}, "HostConfig": {"Memory": 1 << 30, "PidsLimit": 4096}}
    files = {"2": ("docker/abc/memory.max", "docker/abc/pids.max")}.get(
        version, ("memory/docker/abc/memory.limit_in_bytes", "pids/docker/abc/pids.max")
    )
    for file, value in zip(files, ("1073741824", "max"), strict=True):
        (box / "cgroup" / file).parent.mkdir(parents=True, exist_ok=True)
        (box / "cgroup" / file).write_text(f"{value}\n")
    info = INFO | {"CgroupVersion": "9"}
    assert _held(box, info, running) == ["memory", "cpus"]  # the number of processes is not bounded after all
    other = running | {"Id": "somebody else's"}
    assert _held(box, info, other) == ["memory", "cpus", "processes"]


def test_the_python_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from relay_tui.adapters.docker.client import EngineClient
    from relay_tui.domain.errors import EngineError

    def greet(_: EngineClient) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(EngineClient, "_api_version", lambda _: "1.41")
    monkeypatch.setattr(EngineClient, "greet", greet)
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(EngineError) as caught, EngineClient().client("x"):
        pass
    assert caught.value.hint.endswith("-m pip install --force-reinstall docker")
