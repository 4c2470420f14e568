"""Bringing work out of sessions, and upstream work in."""

from relay_tui.adapters.git.exit.adapter import GitExit

__all__ = ["GitExit"]
