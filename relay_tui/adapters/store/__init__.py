"""Adapter for TinyDB: records on disk, shared by several relays."""

from relay_tui.adapters.store.file_format import SCHEMA
from relay_tui.adapters.store.tables import DurableJSONStorage
from relay_tui.adapters.store.tiny import TinyStore, Transaction

__all__ = ["SCHEMA", "DurableJSONStorage", "TinyStore", "Transaction"]
