"""The adapter for TinyDB: records on disk, shared by many relays.

A name is imported when it is first asked for: shell completion reads the store file without TinyDB (40 ms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.adapters.store.tinydb_store import TinyDBStore, Transaction
    from relay_tui.adapters.store.tinydb_tables import SCHEMA, DurableJSONStorage

__all__ = ["SCHEMA", "DurableJSONStorage", "TinyDBStore", "Transaction"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    from relay_tui.adapters.store import tinydb_store, tinydb_tables

    found: object = getattr(tinydb_store if hasattr(tinydb_store, name) else tinydb_tables, name)
    globals()[name] = found
    return found
