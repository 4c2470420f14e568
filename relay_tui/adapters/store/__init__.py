"""The adapter for TinyDB: records on disk, shared by many relays."""

from relay_tui.adapters.store.tables import SCHEMA, DurableJSONStorage
from relay_tui.adapters.store.tiny import TinyStore, Transaction

__all__ = ["SCHEMA", "DurableJSONStorage", "TinyStore", "Transaction"]
