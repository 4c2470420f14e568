"""Signals that mean: leave. The screen leaves in good order, its jobs interrupted and their rows saying so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def exit_on_signals(leave: Callable[[int], object]) -> None:
    """Let the running loop call `leave` with the exit code when a signal says so. Main thread only."""
    loop = asyncio.get_running_loop()
    for number in ENDINGS:
        loop.add_signal_handler(number, leave, 128 + number)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Within the block the signals end the process by themselves: the loop, which would heed them, does not run."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
