"""Whether relay has what it needs on this machine: each thing looked at by itself, with the command that mends it."""

from __future__ import annotations

from relay_tui.services.doctor.doctor import Doctor
from relay_tui.services.doctor.examination import Tell
from relay_tui.services.doctor.findings import Check, Finding, Verdict

__all__ = ["Check", "Doctor", "Finding", "Tell", "Verdict"]
