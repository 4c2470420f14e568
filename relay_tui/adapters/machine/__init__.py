"""The machine that relay runs on."""

from __future__ import annotations

from relay_tui.adapters.machine.host import Host

__all__ = ["Host"]
