"""Doctor: check what relay needs on this machine, and name the command that fixes each problem."""

from __future__ import annotations

from relay_tui.services.doctor.doctor import Doctor
from relay_tui.services.doctor.results import Check, CheckResult, CheckStatus
from relay_tui.services.doctor.runner import OnResult

__all__ = ["Check", "CheckResult", "CheckStatus", "Doctor", "OnResult"]
