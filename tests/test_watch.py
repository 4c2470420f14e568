"""What a long operation says, and to whom."""

from __future__ import annotations

import pytest

from relay_tui.errors import CancelledError
from relay_tui.services.watch import Behind, Watch


def test_the_second_voice_is_heard_only_when_the_first_has_ended() -> None:
    said: list[str] = []
    running = True
    watch = Watch(lambda stage, _fraction, _detail: said.append(stage))
    behind = Behind(watch, first=lambda: running)
    behind.stage("Pulling image", 0.1)
    watch.stage("Receiving objects", 0.5)
    running = False
    behind.stage("Pulling image", 0.2)
    assert said == ["Receiving objects", "Pulling image"]


def test_both_voices_are_cancelled_together() -> None:
    called: list[str] = []
    watch = Watch()
    behind = Behind(watch, first=lambda: True)
    with behind.on_cancel(lambda: called.append("pull")), watch.on_cancel(lambda: called.append("clone")):
        watch.cancel(quitting=True)
    assert sorted(called) == ["clone", "pull"]
    assert behind.cancelled
    assert behind.quitting
    with pytest.raises(CancelledError):
        behind.check()
