"""Log border: its texts, and keys that arrive faster than the screen is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from dictation import Dictated, Dictation
from fakes import Rig, build
from log_batches import batch
from on_screen import KEY_NAMES, Shown, a_project, a_session, shown
from textual import events

from relay_tui.domain.errors import EngineUnreachableError
from relay_tui.domain.log_batch import EMPTY_BATCH
from relay_tui.services.logs import feed
from relay_tui.ui.log.prompt import LogPrompt


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return build(tmp_path / "data")


def state(screen: Shown) -> str:
    return str(screen.main.detail.border_subtitle)


async def test_a_lost_engine_is_told_until_it_is_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BACKOFF", (0.01,))
    session = a_session(rig, a_project(rig, "alpha"), "main")
    first, second = Dictated(), Dictated()
    dictation = Dictation(first)
    dictation.containers = rig.engine.containers
    monkeypatch.setattr(rig.engine, "log_lines", dictation.log_lines)
    first.say(batch(b"one"), EMPTY_BATCH)
    async with shown(rig) as screen:
        await screen.sees("one")
        assert state(screen) == "following"
        first.end(EngineUnreachableError("The engine does not answer"))
        await screen.until(lambda: state(screen) == "reconnecting", "the break")
        second.say(batch(b"one\ntwo"), EMPTY_BATCH)
        dictation.ready.append(second)
        await screen.sees("two")
        await screen.until(lambda: state(screen) == "following", "its return")
        assert screen.main.detail.log_view.visible_text() == "one\ntwo"
        assert session.container_id


@pytest.mark.parametrize("code", [0, 3])
async def test_an_ended_stream_says_so_with_its_exit_code(rig: Rig, code: int) -> None:
    session = a_session(rig, a_project(rig, "alpha"), "main", output=b"working\n")
    async with shown(rig) as screen:
        await screen.sees("working")
        rig.engine.containers[session.container_id].become("exited", code)
        await screen.sees(f"── ended, exit code {code} ──")
        await screen.until(lambda: state(screen) == "ended")


async def test_lines_that_were_dropped_are_counted(rig: Rig) -> None:
    session = a_session(rig, a_project(rig, "alpha"), "main", output=b"one\n")
    async with shown(rig) as screen:
        await screen.sees("one")
        screen.main.detail.log_view.buffer.max_lines = 1_000
        rig.engine.containers[session.container_id].say(b"line\n" * 2_500)
        await screen.until(lambda: state(screen) == "following · 1,501 dropped", "the count")


async def test_keys_that_come_in_one_packet_go_where_the_first_of_them_leads(rig: Rig) -> None:
    a_session(rig, a_project(rig, "alpha"), "main", output=b"walk\nwts\n")
    async with shown(rig) as screen:
        await screen.sees("wts")
        await screen.press("l")
        for key in ["/", *"wts"]:
            screen.app.post_message(events.Key(KEY_NAMES.get(key, key), key))
        await screen.until(lambda: screen.main.query_one(LogPrompt).value == "wts", "what was typed")
        await screen.until(lambda: state(screen) == "following · /wts 1", "that it is sought")
        for key in ("enter", "w", "escape", "&", *"wal", "enter", "t"):
            screen.app.post_message(events.Key(KEY_NAMES.get(key, key), key if len(key) == 1 else None))
        await screen.until(lambda: "wrap" in state(screen) and "time" in state(screen), "the log's keys")
        await screen.until(lambda: state(screen).endswith("&wal · wrap · time"), "the filter")
