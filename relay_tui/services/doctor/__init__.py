"""Whether relay has what it needs on this machine: each thing looked at by itself, with the command that mends it."""

from __future__ import annotations

from relay_tui.services.doctor.doctor import Doctor
from relay_tui.services.doctor.results import Check, CheckResult, CheckStatus
from relay_tui.services.doctor.runner import Tell

__all__ = ["Check", "CheckResult", "CheckStatus", "Doctor", "Tell"]
