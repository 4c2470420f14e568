"""What services ask of the world. Adapters fulfil these; services know nothing else of git, engines or files.

A port is imported when its name is first asked for: the first paint needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        RunEnd,
        Runtime,
    )
    from relay_tui.services.ports.stats import Stats, StatsStream
    from relay_tui.services.ports.store import Locks, Store, StoreWatch, Transaction
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
    "RunEnd",
    "Runtime",
    "Source",
    "Stats",
    "StatsStream",
    "Store",
    "StoreWatch",
    "Transaction",
    "TrashEntry",
]

_IN = {
    "files": {"Disk", "Files", "TrashEntry"},
    "git": {"Git", "Source"},
    "log": {"LineStream", "LogBatch"},
    "stats": {"Stats", "StatsStream"},
    "store": {"Locks", "Store", "StoreWatch", "Transaction"},
    "work": {"Clone", "Exit", "Look", "Parcel"},
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    module = next((module for module, names in _IN.items() if name in names), "runtime")
    found: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found
