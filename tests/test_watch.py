"""Progress reports of a long-running operation and their receivers."""

from __future__ import annotations

import pytest

from relay_tui.domain.errors import CancelledError
from relay_tui.ports.task import SecondaryTaskContext, TaskContext


def test_the_second_voice_is_heard_only_when_the_first_has_ended() -> None:
    said: list[str] = []
    running = True
    task = TaskContext(lambda stage, _fraction, _detail: said.append(stage))
    behind = SecondaryTaskContext(task, first=lambda: running)
    behind.report("Pulling image", 0.1)
    task.report("Receiving objects", 0.5)
    running = False
    behind.report("Pulling image", 0.2)
    assert said == ["Receiving objects", "Pulling image"]


def test_both_voices_are_cancelled_together() -> None:
    called: list[str] = []
    task = TaskContext()
    behind = SecondaryTaskContext(task, first=lambda: True)
    with behind.on_cancel(lambda: called.append("pull")), task.on_cancel(lambda: called.append("clone")):
        task.cancel(quitting=True)
    assert sorted(called) == ["clone", "pull"]
    assert behind.cancelled
    assert behind.quitting
    with pytest.raises(CancelledError):
        behind.raise_if_cancelled()
