"""Signals that end relay: the screen is closed in order, running jobs are interrupted and their rows show it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def exit_on_signals(leave: Callable[[int], object]) -> None:
    """Have the running event loop call `leave` with the exit code at an ending signal. Main thread only."""
    loop = asyncio.get_running_loop()
    for number in ENDINGS:
        loop.add_signal_handler(number, leave, 128 + number)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let ending signals end the process within the block, in which the event loop does not run to handle them."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
