"""Hang up programs in a container whose terminal is gone, as the kernel does for local programs.

The engine does not: it goes on holding the program's own terminal, and shells wait there for keys for ever.
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
"""Finds the program by what only its environment has: its number in the container is nowhere to be asked.

It leads a session of its own, and its parent is outside. Without /proc or sh there it goes on.
"""


class Ended(BaseException):
    """We are to end. No error: nothing on the way may take it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def new_exec_marker() -> Mapping[str, str]:
    """The variable that tells a program on this terminal from all others."""
    return {_NAME: secrets.token_hex(8)}


def send_hangup(engine: EngineClient, container_id: str, mark: Mapping[str, str]) -> None:
    """Tell the program that has the mark, and kill it if it stays. The engine sees to it when we are gone."""
    command = ["sh", "-c", _SCRIPT, "relay", f"{_NAME}={mark[_NAME]}"]
    with suppress(RelayError), engine.client("Cannot hang up the program") as client:
        made: dict[str, str] = client.exec_create(container_id, command, stdout=False, stderr=False)
        client.exec_start(made["Id"], detach=True)


@contextmanager
def raise_on_signals() -> Iterator[Callable[[], None]]:
    """Within the block the signals that end us raise Ended, once; those that are ignored stay so. Main thread only.

    Gives what is to be called when nothing of what follows in the block may be broken off by one.
    """
    before: dict[int, Any] = {}

    def heed_no_more() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    def end(number: int, _frame: FrameType | None) -> None:
        heed_no_more()
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        before = {n: signal.getsignal(n) for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, end)
        yield heed_no_more
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
