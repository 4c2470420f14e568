"""Adapter for TinyDB: records on disk, shared by several relays.

A name is imported on first use: shell completion reads the store file without importing TinyDB (40 ms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.adapters.store.file_format import SCHEMA
    from relay_tui.adapters.store.tinydb_store import TinyDBStore, Transaction
    from relay_tui.adapters.store.tinydb_tables import DurableJSONStorage

__all__ = ["SCHEMA", "DurableJSONStorage", "TinyDBStore", "Transaction"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    from relay_tui.adapters.store import file_format, tinydb_store, tinydb_tables

    modules = (file_format, tinydb_store, tinydb_tables)
    found: object = next(getattr(module, name) for module in modules if hasattr(module, name))
    globals()[name] = found
    return found
