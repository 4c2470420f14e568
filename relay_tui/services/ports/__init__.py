"""What services ask of the world. Adapters fulfil these; services know nothing else of git, engines or files."""

from __future__ import annotations

from relay_tui.services.ports.files import Disk, Files, TrashEntry
from relay_tui.services.ports.git import Git, Source
from relay_tui.services.ports.log import LineStream, LogBatch
from relay_tui.services.ports.runtime import (
    Answer,
    ContainerSpec,
    EventStream,
    Isolation,
    LogChunk,
    LogStream,
    Observed,
    Processes,
    Runtime,
)
from relay_tui.services.ports.stats import Stats, StatsStream
from relay_tui.services.ports.store import Locks, Store, Transaction
from relay_tui.services.ports.work import Clone, Exit, Look, Parcel

__all__ = [
    "Answer",
    "Clone",
    "ContainerSpec",
    "Disk",
    "EventStream",
    "Exit",
    "Files",
    "Git",
    "Isolation",
    "LineStream",
    "Locks",
    "LogBatch",
    "LogChunk",
    "LogStream",
    "Look",
    "Observed",
    "Parcel",
    "Processes",
    "Runtime",
    "Source",
    "Stats",
    "StatsStream",
    "Store",
    "Transaction",
    "TrashEntry",
]
