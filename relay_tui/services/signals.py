"""What a signal that ended a command says: whether the command did it to itself, or something else to it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.services.ports import Observed

OWN = MappingProxyType(
    {
        "SIGSEGV": "It touched memory that is not its own",
        "SIGABRT": "It gave up by itself: a failed assertion, or abort()",
        "SIGBUS": "It touched memory that is not there: a file that shrank, or no room left for shared memory",
        "SIGFPE": "It calculated what cannot be, like a division by zero",
        "SIGILL": "It came upon an instruction that this CPU does not have",
        "SIGSYS": "It made a system call that is not allowed here",
        "SIGTRAP": "It came upon a debugger's trap",
        "SIGPIPE": "It wrote where nobody reads any more",
        "SIGXCPU": "It used more CPU time than its limit allows",
        "SIGXFSZ": "It wrote a file larger than its limit allows",
    }
)
"""Signals that a program brings upon itself, and what each means."""

_NUMBERS = MappingProxyType(
    {2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV"}
    | {13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS"}
)
"""As Linux counts them: an exit code of 128 and one of these is how shells and containers tell of it.

Those are left out whose exit code programs give themselves, like git its 129.
"""


def signal_of(seen: Observed) -> str:
    """The signal that ended it, or that ended what it ran; '' if none did."""
    if seen.signal or seen.exit_code is None:
        return seen.signal
    return _NUMBERS.get(seen.exit_code - 128, "")
