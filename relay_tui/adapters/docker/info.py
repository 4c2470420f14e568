"""Information from the engine, and checks of the limits that it enforces."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from relay_tui.adapters.docker import info as docker_info
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection import unreachable
from relay_tui.adapters.docker.container_builder import SESSION
from relay_tui.domain.errors import EngineError, EngineUnreachableError
from relay_tui.ports.host import EngineFacts


def describe(patience: float) -> EngineFacts:
    """Ask the engine that relay would use, which has `patience` seconds. Raises EngineUnreachableError, EngineError."""
    engine = EngineClient()
    try:
        greeting = engine.greet(patience)
    except EngineError as error:
        if isinstance(error, EngineUnreachableError) or engine.address.local:
            raise
        raise unreachable.unreachable_error(error, engine.address) from error  # elsewhere it would be of no use either
    info: Mapping[str, Any] = engine.get_json("The engine refused to describe itself", "/info")
    address = engine.address
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    # A port can be another machine's, and another machine's name this one's network name: the host's own name tells.
    here = address.scheme == "unix" or (address.scheme == "tcp" and info.get("Name") == socket.gethostname())
    return EngineFacts(
        product=greeting.product,
        version=greeting.version or str(info.get("ServerVersion", "")),
        address=address.url,
        origin=address.origin,
        local=here or address.local,
        rootless=any("name=rootless" in option for option in options),
        cgroups=f"v{info.get('CgroupVersion') or 1}, {info.get('CgroupDriver') or 'none'}",
        limits=MappingProxyType(docker_info.enforced_limits(info, _running(engine), here=here)),
    )


def _running(engine: EngineClient) -> Mapping[str, Any] | None:
    """The inspection of a session's container that runs, if there is one."""
    with suppress(EngineError, LookupError, TypeError):
        wanted = {"filters": json.dumps({"label": [SESSION], "status": ["running"]}), "limit": "1"}
        listed = engine.get_json("The engine refused to list containers", "/containers/json", wanted)
        container: Mapping[str, Any] = engine.get_json("The container is gone", f"/containers/{listed[0]['Id']}/json")
        return container
    return None


MEMORY, CPUS, PROCESSES = "memory", "cpus", "processes"


_CONTROLLERS = {MEMORY: "memory", CPUS: "cpu", PROCESSES: "pids"}


_WARNINGS = {MEMORY: "no memory limit support", CPUS: "no cpu cfs quota support", PROCESSES: "no pids limit support"}


_FILES = {
    # of a container's cgroup, in version 2 and in version 1
    MEMORY: ("memory.max", "memory.limit_in_bytes"),
    CPUS: ("cpu.max", "cpu.cfs_quota_us"),
    PROCESSES: ("pids.max", "pids.max"),
}


_ROOT = Path("/sys/fs/cgroup")


def enforced_limits(
    info: Mapping[str, Any],
    running: Mapping[str, Any] | None = None,
    *,
    here: bool,
    root: Path = _ROOT,
    proc: Path = Path("/proc"),
) -> dict[str, bool]:
    """Memory, cpus and processes, each held or not.

    `info` is the engine's own description, `running` the inspection of a session's container that runs, if one does,
    `here` whether the engine is on this machine: only then its kernel is ours to look at.
    """
    claimed = _claimed(info)
    had = _controllers(info, root, proc) if here else None
    found = {name: held and (had is None or _CONTROLLERS[name] in had) for name, held in claimed.items()}
    if here and running is not None:
        found |= {name: False for name, got in _measured(running, root, proc).items() if not got}
    return found


def _claimed(info: Mapping[str, Any]) -> dict[str, bool]:
    """Return the limits that the engine claims to enforce. A rootless engine without delegation ignores limits."""
    driven = info.get("CgroupDriver") != "none"
    said = {
        MEMORY: bool(info.get("MemoryLimit")),
        CPUS: bool(info.get("CpuCfsQuota")) and bool(info.get("CpuCfsPeriod", True)),
        PROCESSES: bool(info.get("PidsLimit")),
    }
    warned = " ".join(str(words).lower() for words in info.get("Warnings") or ())
    return {name: driven and holds and _WARNINGS[name] not in warned for name, holds in said.items()}


def _controllers(info: Mapping[str, Any], root: Path, proc: Path) -> set[str] | None:
    """Return the cgroup controllers that are available to the engine; None if unknown."""
    with suppress(OSError):
        if str(info.get("CgroupVersion")) == "2":
            user = os.getuid()
            part = Path()
            if any("name=rootless" in str(option) for option in info.get("SecurityOptions") or ()):
                part = Path(f"user.slice/user-{user}.slice/user@{user}.service")
            return set((root / part / "cgroup.controllers").read_text().split())
        lines = (proc / "cgroups").read_text().splitlines()
        return {line.split()[0] for line in lines if not line.startswith("#") and line.split()[3:] == ["1"]}
    return None


def _measured(running: Mapping[str, Any], root: Path, proc: Path) -> dict[str, bool]:
    """Compare a running container's cgroup with its requested limits. Limits that were not requested are left out."""
    asked = running.get("HostConfig") or {}
    wanted = {
        MEMORY: int(asked.get("Memory") or 0),
        CPUS: int(asked.get("NanoCpus") or 0),
        PROCESSES: max(0, int(asked.get("PidsLimit") or 0)),
    }
    pid = int((running.get("State") or {}).get("Pid") or 0)
    places = _cgroups(proc / str(pid) / "cgroup", str(running.get("Id")))
    found = {}
    for name, value in wanted.items():
        place = places.get(_CONTROLLERS[name]) or places.get("")
        if value and place is not None:
            found[name] = _is_limited(root, place, name)
    return {name: limited for name, limited in found.items() if limited is not None}


def _cgroups(file: Path, container: str) -> dict[str, str]:
    """The cgroup of a process by controller, '' for version 2; {} when the process is not the container's."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    fields = [line.split(":", 2) for line in lines]
    return {name: path for _, names, path in fields if container in path for name in names.split(",")}


def _is_limited(root: Path, place: str, name: str) -> bool | None:
    """Return whether the cgroup has a limit; None if it cannot be read."""
    second, first = _FILES[name]
    for file in (root / place.lstrip("/") / second, root / _CONTROLLERS[name] / place.lstrip("/") / first):
        with suppress(OSError):
            value = file.read_text().split()[0]
            return value not in {"max", "-1"} and int(value) < 1 << 62
    return None
