"""Transfer of commits and files: session to base clone, base clone to upstream, bundle and export."""

from relay_tui.adapters.git.transfer.adapter import GitTransferAdapter

__all__ = ["GitTransferAdapter"]
