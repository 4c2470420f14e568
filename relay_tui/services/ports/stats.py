"""What a running session takes of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One reading. What is not known is None: rates, for one, before there are two readings."""

    at: float
    """When it was taken: seconds since 1970."""
    cpu: float | None = None
    """CPUs in use: 0.5 is half of one."""
    cpus: float | None = None
    """CPUs it may use: its limit, or all that the machine has."""
    memory: int | None = None
    """Bytes in use, without what the kernel would give back at once (the page cache)."""
    memory_limit: int | None = None
    """Bytes it may use: its limit, or all that the machine has."""
    pids: int | None = None
    pids_limit: int | None = None
    received: float | None = None
    """Bytes a second."""
    sent: float | None = None


class StatsStream(Protocol):
    """Readings, about one a second. Iterating blocks, and ends when what is read has ended; close() ends it at once."""

    def __iter__(self) -> Iterator[Stats]: ...

    def close(self) -> None: ...
