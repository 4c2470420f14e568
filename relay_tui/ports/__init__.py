"""Ports: the protocols through which services use git, container engines, files and the store.

Adapters implement them. A port's module is imported on first use, because the first paint needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.ports.files import DataDirSurvey, Files, TrashEntry
    from relay_tui.ports.git import CloneSource, Git
    from relay_tui.ports.inspector import CloneInspector, SessionClone
    from relay_tui.ports.runtime import (
        ContainerSpec,
        ContainerState,
        EventStream,
        ExecResult,
        Isolation,
        LineStream,
        LogChunk,
        LogStream,
        ProcessControl,
        RunEnd,
        Runtime,
        Stats,
        StatsStream,
    )
    from relay_tui.ports.store import Locks, Store, StoreWatcher, Transaction
    from relay_tui.ports.task import SecondaryTaskContext, TaskContext
    from relay_tui.ports.transfer import GitTransfer, UpdatePack

__all__ = [
    "CloneInspector",
    "CloneSource",
    "ContainerSpec",
    "ContainerState",
    "DataDirSurvey",
    "EventStream",
    "ExecResult",
    "Files",
    "Git",
    "GitTransfer",
    "Isolation",
    "LineStream",
    "Locks",
    "LogChunk",
    "LogStream",
    "ProcessControl",
    "RunEnd",
    "Runtime",
    "SecondaryTaskContext",
    "SessionClone",
    "Stats",
    "StatsStream",
    "Store",
    "StoreWatcher",
    "TaskContext",
    "Transaction",
    "TrashEntry",
    "UpdatePack",
]

_MODULES = {
    "files": {"DataDirSurvey", "Files", "TrashEntry"},
    "git": {"CloneSource", "Git"},
    "inspector": {"CloneInspector", "SessionClone"},
    "store": {"Locks", "Store", "StoreWatcher", "Transaction"},
    "task": {"SecondaryTaskContext", "TaskContext"},
    "transfer": {"GitTransfer", "UpdatePack"},
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    module = next((module for module, names in _MODULES.items() if name in names), "runtime")
    found: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found
