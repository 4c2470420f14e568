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

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection import unreachable
from relay_tui.adapters.docker.container_builder import SESSION
from relay_tui.domain.errors import EngineError, EngineUnreachableError
from relay_tui.ports.host import EngineFacts

MEMORY, CPUS, PROCESSES = "memory", "cpus", "processes"
_CONTROLLERS = {MEMORY: "memory", CPUS: "cpu", PROCESSES: "pids"}
_WARNINGS = {MEMORY: "no memory limit support", CPUS: "no cpu cfs quota support", PROCESSES: "no pids limit support"}
_FILES = {
    # files of a container's cgroup: name in version 2, name in version 1
    MEMORY: ("memory.max", "memory.limit_in_bytes"),
    CPUS: ("cpu.max", "cpu.cfs_quota_us"),
    PROCESSES: ("pids.max", "pids.max"),
}
_ROOT = Path("/sys/fs/cgroup")


def describe(timeout: float) -> EngineFacts:
    """Query the configured engine, with a timeout in seconds. Raises EngineUnreachableError, EngineError."""
    engine = EngineClient()
    try:
        greeting = engine.greet(timeout)
    except EngineError as error:
        if isinstance(error, EngineUnreachableError) or engine.address.local:
            raise
        raise unreachable.unreachable_error(error, engine.address) from error  # relay cannot use a remote engine anyway
    info: Mapping[str, Any] = engine.get_json("Cannot query the engine", "/info")
    address = engine.address
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    # A local port can be forwarded to another machine, and this machine's network name can belong to another one.
    # Only the host name that the engine reports identifies its machine.
    is_local = address.scheme == "unix" or (address.scheme == "tcp" and info.get("Name") == socket.gethostname())
    return EngineFacts(
        product=greeting.product,
        version=greeting.version or str(info.get("ServerVersion", "")),
        address=address.url,
        origin=address.origin,
        local=is_local or address.local,
        rootless=any("name=rootless" in option for option in options),
        cgroups=f"v{info.get('CgroupVersion') or 1}, {info.get('CgroupDriver') or 'none'}",
        limits=MappingProxyType(enforced_limits(info, _find_running(engine), here=is_local)),
    )


def _find_running(engine: EngineClient) -> Mapping[str, Any] | None:
    """Return the inspection of any running session container; None if there is none."""
    with suppress(EngineError, LookupError, TypeError):
        params = {"filters": json.dumps({"label": [SESSION], "status": ["running"]}), "limit": "1"}
        listed = engine.get_json("Cannot list the containers", "/containers/json", params)
        container: Mapping[str, Any] = engine.get_json("The container is gone", f"/containers/{listed[0]['Id']}/json")
        return container
    return None


def enforced_limits(
    info: Mapping[str, Any],
    running: Mapping[str, Any] | None = None,
    *,
    here: bool,
    root: Path = _ROOT,
    proc: Path = Path("/proc"),
) -> dict[str, bool]:
    """Return for each limit (memory, cpus, processes) whether it is enforced.

    `info` is the engine's own description, `running` the inspection of a running session container, if there is one.
    `here` is true if the engine is on this machine, so that its cgroups can be read.
    """
    claimed = _claimed(info)
    available = _controllers(info, root, proc) if here else None
    found = {
        name: is_claimed and (available is None or _CONTROLLERS[name] in available)
        for name, is_claimed in claimed.items()
    }
    if here and running is not None:
        found |= {name: False for name, limited in _measure(running, root, proc).items() if not limited}
    return found


def _claimed(info: Mapping[str, Any]) -> dict[str, bool]:
    """Return the limits that the engine claims to enforce. A rootless engine without delegation ignores limits."""
    has_driver = info.get("CgroupDriver") != "none"
    claimed = {
        MEMORY: bool(info.get("MemoryLimit")),
        CPUS: bool(info.get("CpuCfsQuota")) and bool(info.get("CpuCfsPeriod", True)),
        PROCESSES: bool(info.get("PidsLimit")),
    }
    warnings = " ".join(str(warning).lower() for warning in info.get("Warnings") or ())
    return {name: has_driver and value and _WARNINGS[name] not in warnings for name, value in claimed.items()}


def _controllers(info: Mapping[str, Any], root: Path, proc: Path) -> set[str] | None:
    """Return the cgroup controllers that are available to the engine; None if unknown."""
    with suppress(OSError):
        if str(info.get("CgroupVersion")) == "2":
            user = os.getuid()
            slice_path = Path()
            if any("name=rootless" in str(option) for option in info.get("SecurityOptions") or ()):
                slice_path = Path(f"user.slice/user-{user}.slice/user@{user}.service")
            return set((root / slice_path / "cgroup.controllers").read_text().split())
        lines = (proc / "cgroups").read_text().splitlines()
        return {line.split()[0] for line in lines if not line.startswith("#") and line.split()[3:] == ["1"]}
    return None


def _measure(running: Mapping[str, Any], root: Path, proc: Path) -> dict[str, bool]:
    """Compare a running container's cgroup with its requested limits. Limits that were not requested are left out."""
    host_config = running.get("HostConfig") or {}
    requested = {
        MEMORY: int(host_config.get("Memory") or 0),
        CPUS: int(host_config.get("NanoCpus") or 0),
        PROCESSES: max(0, int(host_config.get("PidsLimit") or 0)),
    }
    pid = int((running.get("State") or {}).get("Pid") or 0)
    cgroups = _cgroups(proc / str(pid) / "cgroup", str(running.get("Id")))
    found = {}
    for name, value in requested.items():
        cgroup = cgroups.get(_CONTROLLERS[name]) or cgroups.get("")
        if value and cgroup is not None:
            found[name] = _is_limited(root, cgroup, name)
    return {name: limited for name, limited in found.items() if limited is not None}


def _cgroups(file: Path, container: str) -> dict[str, str]:
    """Return a process's cgroup by controller ('' in version 2); {} if the process is not in the container."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    fields = [line.split(":", 2) for line in lines]
    return {name: path for _, names, path in fields if container in path for name in names.split(",")}


def _is_limited(root: Path, cgroup: str, name: str) -> bool | None:
    """Return whether the cgroup has a limit; None if it cannot be read."""
    file_v2, file_v1 = _FILES[name]
    for file in (root / cgroup.lstrip("/") / file_v2, root / _CONTROLLERS[name] / cgroup.lstrip("/") / file_v1):
        with suppress(OSError):
            value = file.read_text().split()[0]
            return value not in {"max", "-1"} and int(value) < 1 << 62
    return None
