"""What an engine says of itself, and what of it can be seen to hold."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from relay_tui.adapters.engine import limits, silence
from relay_tui.adapters.engine.client import Engine
from relay_tui.adapters.engine.create import SESSION
from relay_tui.errors import EngineError, EngineUnreachableError
from relay_tui.services.ports.machine import EngineFacts


def describe(patience: float) -> EngineFacts:
    """Ask the engine that relay would use, which has `patience` seconds. Raises EngineUnreachableError, EngineError."""
    engine = Engine()
    try:
        greeting = engine.greet(patience)
    except EngineError as error:
        if isinstance(error, EngineUnreachableError) or engine.address.local:
            raise
        raise silence.unreachable(error, engine.address) from error  # elsewhere it would be of no use either
    info: Mapping[str, Any] = engine.ask("The engine refused to describe itself", "/info")
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
        limits=MappingProxyType(limits.held(info, _running(engine), here=here)),
    )


def _running(engine: Engine) -> Mapping[str, Any] | None:
    """The inspection of a session's container that runs, if there is one."""
    with suppress(EngineError, LookupError, TypeError):
        wanted = {"filters": json.dumps({"label": [SESSION], "status": ["running"]}), "limit": "1"}
        listed = engine.ask("The engine refused to list containers", "/containers/json", wanted)
        container: Mapping[str, Any] = engine.ask("The container is gone", f"/containers/{listed[0]['Id']}/json")
        return container
    return None
