"""The adapter for TinyDB: records on disk, shared by many relays."""

from relay_tui.adapters.store.tinydb_store import TinyDBStore, Transaction
from relay_tui.adapters.store.tinydb_tables import SCHEMA, DurableJSONStorage

__all__ = ["SCHEMA", "DurableJSONStorage", "TinyDBStore", "Transaction"]
