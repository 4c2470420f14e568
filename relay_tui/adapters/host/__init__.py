"""Host port: properties of the machine that relay runs on."""

from __future__ import annotations

from relay_tui.adapters.host.host import LocalHost

__all__ = ["LocalHost"]
