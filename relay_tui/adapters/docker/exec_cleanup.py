"""Hang up a program in a container whose terminal is lost, as the kernel does for local programs.

The engine does not do this: it keeps the program's own terminal open, and shells wait there for input for ever.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.domain.errors import RelayError

_NAME = "RELAY_TERMINAL"
_SIGNALS = (signal.SIGHUP, signal.SIGTERM)
_SCRIPT = """
marked() {
  while read -r line || [ -n "$line" ]; do
    case $line in *"$mark"*) return 0 ;; esac
  done 2>/dev/null <"/proc/$1/environ"
  return 1
}
leads() {
  read -r line 2>/dev/null <"/proc/$1/stat" || return 1
  number=$1
  set -- ${line##*)}
  [ "$2" = 0 ] && [ "$4" = "$number" ]
}
mark=$1
for entry in /proc/[0-9]*; do
  pid=${entry#/proc/}
  if leads "$pid" && marked "$pid"; then
    kill -HUP "$pid" && sleep 2 && leads "$pid" && marked "$pid" && kill -KILL "$pid"
  fi
done
"""
"""Shell script that finds the program by the marker in its environment and ends it.

The engine does not report the program's pid in the container. The program is a session leader, and its parent is
outside of the container (ppid 0). Without /proc or sh in the container the program keeps running.
"""


class Ended(BaseException):
    """A signal requests that relay ends. No Exception, so that no handler of errors catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def new_exec_marker() -> Mapping[str, str]:
    """Return the environment variable that identifies a program on this terminal."""
    return {_NAME: secrets.token_hex(8)}


def send_hangup(engine: EngineClient, container_id: str, marker: Mapping[str, str]) -> None:
    """Send SIGHUP to the program with the marker, and SIGKILL if it does not end. This continues after relay's end."""
    command = ["sh", "-c", _SCRIPT, "relay", f"{_NAME}={marker[_NAME]}"]
    with suppress(RelayError), engine.client("Cannot hang up the program") as client:
        created: dict[str, str] = client.exec_create(container_id, command, stdout=False, stderr=False)
        client.exec_start(created["Id"], detach=True)


@contextmanager
def raise_on_signals() -> Iterator[Callable[[], None]]:
    """Raise Ended once in the block for a signal that ends relay. Ignored signals stay ignored. Main thread only.

    Yields a function that makes the block ignore these signals from then on, so that nothing interrupts its cleanup.
    """
    before: dict[int, Any] = {}

    def ignore_signals() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        before = {n: signal.getsignal(n) for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, on_signal)
        yield ignore_signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
