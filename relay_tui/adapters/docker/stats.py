"""Resource usage of a container: the engine's readings, and rates from two consecutive readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection.http_stream import HttpStream
from relay_tui.ports.runtime import Stats

Message = Mapping[str, Any]
_ZERO_TIME = "0001-"  # start of Go's zero time
_UNLIMITED = 1 << 60  # bytes; a cgroup without a limit reports a larger number
_PAGE_CACHE = ("inactive_file", "total_inactive_file")  # reclaimable page cache in cgroup v2 and v1


class EngineStats:
    """Stream of a container's readings. Implements StatsStream."""

    def __init__(self, engine: EngineClient, stream: HttpStream, cpus: float | None) -> None:
        self._engine = engine
        self._stream = stream
        self._cpus = cpus

    def __iter__(self) -> Iterator[Stats]:
        before: Message | None = None
        with self._stream, self._engine.translated("Cannot read the container's resource usage"):
            for message in self._stream.messages():
                if not is_reading(message):
                    return  # the engine sends zeros for a container that has ended
                yield reading(message, before, self._cpus)
                before = message

    def close(self) -> None:
        """Close the stream. An iteration in another thread ends too."""
        self._stream.close()


def cpus_allowed(host_config: Message) -> float | None:
    """Return the number of CPUs that a container may use; None if there is no limit."""
    if nano := host_config.get("NanoCpus"):
        return float(nano) / 1e9
    quota, period = host_config.get("CpuQuota") or 0, host_config.get("CpuPeriod") or 100_000
    return quota / period if quota > 0 else None


def is_reading(message: Message) -> bool:
    """Return whether the reading is of a running container."""
    return not str(message.get("read", _ZERO_TIME)).startswith(_ZERO_TIME) and bool(message.get("memory_stats"))


def reading(message: Message, before: Message | None, cpus: float | None) -> Stats:
    """Return an engine message as Stats. Rates refer to the time since the previous message, `before`."""
    at = _timestamp(message)
    seconds = at - _timestamp(before) if before is not None else 0.0
    memory, pids = message.get("memory_stats") or {}, message.get("pids_stats") or {}
    return Stats(
        at=at,
        cpu=_rate(_cpu(message), _cpu(before), seconds * 1e9),
        cpus=cpus or message.get("cpu_stats", {}).get("online_cpus"),
        memory=_used(memory),
        memory_limit=_limit(memory.get("limit")),
        pids=pids.get("current"),
        pids_limit=_limit(pids.get("limit")),
        received=_rate(_network(message, "rx_bytes"), _network(before, "rx_bytes"), seconds),
        sent=_rate(_network(message, "tx_bytes"), _network(before, "tx_bytes"), seconds),
    )


def _timestamp(message: Message) -> float:
    """Return the message's time in seconds since 1970. The engine writes nanoseconds, which datetime cannot parse."""
    head, _, fraction = str(message["read"]).rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _rate(now: float | None, before: float | None, over: float) -> float | None:
    if now is None or before is None or over <= 0:
        return None
    return max(0.0, now - before) / over


def _cpu(message: Message | None) -> float | None:
    """Return the total CPU time in nanoseconds."""
    used = ((message or {}).get("cpu_stats") or {}).get("cpu_usage") or {}
    total: float | None = used.get("total_usage")
    return total


def _used(memory: Message) -> int | None:
    usage: int | None = memory.get("usage")
    if usage is None:
        return None
    detail = memory.get("stats") or {}
    cache = next((detail[name] for name in _PAGE_CACHE if name in detail), 0)
    return max(0, usage - cache)


def _limit(limit: int | None) -> int | None:
    return limit if limit and limit < _UNLIMITED else None


def _network(message: Message | None, counter: str) -> float | None:
    networks = (message or {}).get("networks")
    return None if networks is None else sum(network.get(counter, 0) for network in networks.values())
