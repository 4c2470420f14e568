"""What an engine says of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from relay_tui.adapters.engine.address import Address, find_address
from relay_tui.adapters.engine.client import Engine
from relay_tui.services.ports.machine import EngineFacts

_HERE = {"", "localhost", "127.0.0.1", "::1"}


def describe() -> EngineFacts:
    """Ask the engine that relay would use. Raises EngineUnreachableError, EngineError."""
    engine = Engine()
    greeting = engine.greet()
    with engine.client("The engine refused to describe itself") as client:
        info: Mapping[str, Any] = client.info()
    address = engine.address
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    return EngineFacts(
        product=greeting.product,
        version=greeting.version or str(info.get("ServerVersion", "")),
        address=address.url,
        origin=_origin(),
        local=_is_here(address),
        rootless=any("name=rootless" in option for option in options),
        cgroups=f"v{info.get('CgroupVersion') or 1}, {info.get('CgroupDriver') or 'none'}",
        limits=MappingProxyType(_limits(info)),
    )


def _limits(info: Mapping[str, Any]) -> dict[str, bool]:
    """What it holds containers to. Without a driver (rootless, nothing delegated) it takes limits and drops them."""
    driven = info.get("CgroupDriver") != "none"
    quota = bool(info.get("CpuCfsQuota")) and bool(info.get("CpuCfsPeriod", True))
    return {
        "memory": driven and bool(info.get("MemoryLimit")),
        "cpus": driven and quota,
        "processes": driven and bool(info.get("PidsLimit")),
    }


def _origin() -> str:
    """What named the address."""
    if os.environ.get("DOCKER_HOST", "").strip():
        return "$DOCKER_HOST"
    standard = find_address({"HOME": "/nonexistent"})
    return "the default" if find_address() == standard else "the docker context"


def _is_here(address: Address) -> bool:
    return address.scheme == "unix" or (address.scheme == "tcp" and address.host in _HERE)
