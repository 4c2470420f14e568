"""Bringing work out of sessions, and upstream work in."""

from relay_tui.adapters.git.transfer.adapter import GitTransferAdapter

__all__ = ["GitTransferAdapter"]
