"""Base of all fake ports: records its calls and answers as a test scripted."""

from __future__ import annotations

import threading

from relay_tui.domain.errors import RelayError
from relay_tui.ports.task import TaskContext


class Scripted:
    """Notes every call; one of `failures` is raised by the call it is kept for, one of `gates` is waited for first."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, RelayError] = {}
        self.gates: dict[str, threading.Event] = {}

    def begin(self, call: str, task: TaskContext | None = None) -> None:
        """Record the call. Every method calls this first."""
        self.calls.append(call)
        gate = self.gates.get(call)
        if gate is not None and task is not None:
            with task.on_cancel(gate.set):
                assert gate.wait(10), f"nobody opened the gate of {call}"
            task.raise_if_cancelled()
        elif gate is not None:
            assert gate.wait(10), f"nobody opened the gate of {call}"
        if call in self.failures:
            raise self.failures[call]
