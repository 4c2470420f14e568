"""Actions and their handlers: one table, one dispatch, and what an action requires."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import Rig, build
from on_screen import a_project, a_session, shown

from relay_tui.config import Config
from relay_tui.domain.models import SessionState
from relay_tui.ui.keys.actions import ACTIONS, ANYWHERE, BY_NAME, L
from relay_tui.ui.keys.dispatch import Dispatcher, DispatchingScreen, Handler


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay without any project."""
    return build(tmp_path, config=Config(glyphs="unicode", path=tmp_path / "config.toml"))


async def test_the_handlers_are_those_of_the_table(rig: Rig) -> None:
    async with shown(rig) as screen:
        assert set(screen.main.dispatcher.handlers) == {action.name for action in ACTIONS}


async def test_the_merged_log_handles_its_part_of_the_table(rig: Rig) -> None:
    a_session(rig, a_project(rig, "alpha"), "one", output=b"ready\n")
    async with shown(rig) as screen:
        await screen.press("L")
        await screen.sees("alpha · 1 log")
        log = screen.app.screen
        assert isinstance(log, DispatchingScreen)
        assert set(log.dispatcher.handlers) == {a.name for a in ACTIONS if L in a.places} | ANYWHERE


def test_names_keys_and_former_names_are_unique() -> None:
    names = [name for action in ACTIONS for name in (action.name, action.alias) if name]
    assert len(set(names)) == len(names)
    for in_log in (True, False):  # the log's keys win while the log has the focus
        keys = [key for action in ACTIONS if (L in action.places) is in_log for key in action.keys.split(",")]
        assert len(set(keys)) == len(keys)


async def test_a_handler_runs_only_where_it_applies_and_with_what_it_requires() -> None:
    ran: list[object] = []
    places, met = {"log"}, [True]
    dispatcher = Dispatcher(
        {
            "log_wrap": Handler(lambda: ran.append("wrap")),
            "log_next": Handler(lambda: ran.append("next"), requires=lambda: met[0]),
            "fetch": Handler(lambda: ran.append("fetch"), offered_when=lambda: met[0]),
            "log_since": Handler(ran.append),
        },
        lambda: frozenset(places),
    )
    assert [action.name for action in dispatcher.offered] == ["log_next", "log_wrap", "log_since"]
    for name in ("log_wrap", "log_next", "fetch", "restart"):
        await dispatcher.run(name)
    await dispatcher.run("log_since", 3)
    assert ran == ["wrap", "next", "fetch", 3]
    met[0] = False
    assert [action.name for action in dispatcher.offered] == ["log_wrap", "log_since"]
    assert not dispatcher.can_run("log_next")
    assert dispatcher.can_run("fetch")  # it is not offered, but it may be asked for
    places.clear()
    assert not dispatcher.can_run("log_wrap")
    with pytest.raises(KeyError):
        Dispatcher({"no_action": Handler(ran.clear)}, lambda: frozenset())


async def test_a_key_without_what_it_requires_does_nothing_and_is_not_offered(rig: Rig) -> None:
    """Without a project there is nothing to act on."""
    required = ["stop_start", "restart", "retry", "remove", "push", "fetch", "update", "refresh", "attach", "shell"]
    async with shown(rig, (200, 36)) as screen:
        before = screen.text
        for name in required:
            assert not screen.main.dispatcher.can_run(name), name
            assert f" {BY_NAME[name].label} " not in screen.keys
            await screen.press(BY_NAME[name].keys)
        assert screen.text == before
        assert screen.app.screen is screen.main
        assert not rig.relay.jobs.running()


@pytest.mark.parametrize(
    ("keys", "offered", "missing"),
    [
        ([], ["stop_start", "restart", "push", "shell", "attach"], ["retry", "cancel", "edit_source"]),
        (["j"], ["stop_start", "restart"], ["shell", "attach"]),
        (["h", "j"], ["fetch", "remove"], ["stop_start", "restart", "push", "shell"]),
    ],
)
async def test_the_key_bar_follows_what_is_selected(
    rig: Rig, keys: Sequence[str], offered: Sequence[str], missing: Sequence[str]
) -> None:
    project = a_project(rig, "alpha")
    a_session(rig, project, "one")
    a_session(rig, project, "two", SessionState.STOPPED)
    async with shown(rig, (200, 36)) as screen:
        await screen.press(*keys)
        names = {action.name for action in screen.main.dispatcher.offered}
        assert names >= set(offered)
        assert names.isdisjoint(missing)


async def test_a_click_and_the_palette_do_what_the_key_does(rig: Rig) -> None:
    a_session(rig, a_project(rig, "alpha"), "one", SessionState.STOPPED)
    async with shown(rig) as screen:
        commands = {command.title: command for command in screen.app.get_system_commands(screen.app.screen)}
        assert "Orphans (strays)" not in commands  # there are none
        assert commands["Refresh (look again)"].help == BY_NAME["refresh"].help
        await screen.pilot.click("#keys", offset=(screen.keys.index("start"), 0))
        await screen.until(lambda: rig.session("s.alpha.one").state is SessionState.RUNNING, "the start")
        await screen.press("ctrl+p", *"stop")
        await screen.sees("Stop or start the session")
        await screen.press("enter")
        await screen.until(lambda: rig.session("s.alpha.one").state is SessionState.STOPPED, "the stop")
