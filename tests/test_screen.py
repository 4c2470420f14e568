"""The main screen: rows, cursor, focus, filter, zoom, keys offered, questions, failures in words."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
import textual_screen
from fakes import SOURCE, FakeGit, Rig, build
from on_screen import a_project, a_session, shown
from rich.cells import cell_len
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widgets import Tabs

from relay_tui.config import Config, Profile
from relay_tui.domain.errors import EngineError, Fault, GitError
from relay_tui.domain.events import EngineStatus
from relay_tui.domain.models import SessionState
from relay_tui.services.projects import NewProject
from relay_tui.services.reconcile import runtime_monitor
from relay_tui.ui.dialogs.help import HelpScreen
from relay_tui.ui.keys.actions import ACTIONS, SHARED_KEYS, L
from relay_tui.ui.presentation import formatting

HOSTILE = "[ERROR] [/x] [@click=app.quit]y \x1b[2J\x1b]52;c;aGk=\x07 \u202e\u200b日本語 \x9b31m\r\n\ttail"
CLONE_FAILED = Fault("git", "Cannot clone the repository", "fatal: unable to access\nfatal: early EOF", "Check it.")
BROKEN = Fault("engine", "The command failed (exit code 2)", "make: ***\nmake: No targets.  Stop.", "Mend it, then R.")
SIZES = [(80, 24), (160, 45), (200, 60), (40, 12), (20, 6)]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A relay over an empty data dir whose path is the same on every machine, on a fixed day."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formatting, "now", lambda: datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    monkeypatch.setattr(runtime_monitor, "BACKOFF", (0.02,))
    return build(Path("data"))


def peopled(rig: Rig) -> Rig:
    """Three projects: one with three sessions in three states, one with one, one whose clone failed."""
    alpha, beta = a_project(rig, "alpha"), a_project(rig, "beta")
    a_project(rig, "gamma", error=CLONE_FAILED)
    a_session(rig, alpha, "main", output=b"\x1b[32mready\x1b[0m to serve\r\nGET / 200\r\n")
    a_session(rig, alpha, "topic", SessionState.STOPPED, exit_code=137)
    a_session(rig, alpha, "broken", SessionState.ERROR, error=BROKEN, exit_code=2)
    a_session(rig, beta, "dev")
    return rig


# --- pictures ---


async def test_an_empty_data_dir_says_what_to_do_first(rig: Rig) -> None:
    async with shown(rig) as screen:
        await screen.sees("Press N to add a repository")
        await screen.same_as("empty")
        await screen.press("n")  # there is nothing a session could be of: the form for a project
        await screen.sees("New project")


@pytest.mark.parametrize(("name", "size"), [("projects", (120, 36)), ("small", (80, 24)), ("large", (200, 60))])
async def test_projects_and_sessions(rig: Rig, name: str, size: tuple[int, int]) -> None:
    async with shown(peopled(rig), size) as screen:
        await screen.sees("GET / 200")
        await screen.same_as(name)


async def test_a_failed_session_in_full(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("j", "j", "right_square_bracket")
        await screen.sees("Mend it, then R.")
        await screen.same_as("failed")
        assert "The command failed (exit code 2): make: No" in screen.row("✗ failed    broken")


async def test_a_failed_clone_in_full(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("h", "G")
        await screen.sees("fatal: unable to access")
        await screen.same_as("clone-failed")
        assert "The clone failed, see below" in screen.text


async def test_ascii_glyphs_draw_nothing_else(rig: Rig, tmp_path: Path) -> None:
    config = replace(rig.relay.config, glyphs="ascii")
    ascii_rig = peopled(build(tmp_path / "ascii", config=config))
    async with shown(ascii_rig) as screen:
        for keys in ([], ["right_square_bracket"], ["G"], ["h", "G"], ["question_mark"], ["escape", "N"], ["escape"]):
            await screen.press(*keys)
            # scrollbars and a choice's arrow are the toolkit's; on their way to the terminal they become ASCII
            assert [line for line in screen.lines if not re.sub("[\u2580-\u259f\u25bc]", "", line).isascii()] == []


# --- rows, cursor, focus ---


async def test_the_cursor_stays_on_its_session_whatever_comes_and_goes(rig: Rig) -> None:
    peopled(rig)
    alpha = rig.project("p.alpha")
    async with shown(rig) as screen:
        screen.main.select("s.alpha.topic")
        await screen.until(lambda: screen.main.sessions.cursor_key == "s.alpha.topic")
        aaa = a_project(rig, "aaa")
        first = a_session(rig, aaa, "first")
        await screen.sees("first")
        assert screen.main.sessions.rows[0].key == first.id
        rig.put(replace(rig.session("s.alpha.main"), deleted_at="2026-11-23T09:00:00Z"))
        await screen.until(lambda: "s.alpha.main" not in [row.key for row in screen.main.sessions.rows])
        rig.put(replace(alpha, name="zzz"))  # its sessions go to the end
        await screen.until(lambda: [row.key for row in screen.main.sessions.rows][-1] == "s.alpha.broken")
        assert screen.main.sessions.cursor_key == "s.alpha.topic"
        assert screen.main.detail.border_title == "zzz/topic"
        rig.put(replace(rig.session("s.alpha.topic"), deleted_at="2026-11-23T09:00:00Z"))
        await screen.until(lambda: screen.main.sessions.cursor_key == "s.alpha.broken")


async def test_the_sessions_follow_the_project_and_each_project_keeps_its_place(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("h", "j", "l", "j")
        assert [row.key for row in screen.main.sessions.rows] == ["s.alpha.main", "s.alpha.topic", "s.alpha.broken"]
        assert screen.main.sessions.cursor_key == "s.alpha.topic"
        await screen.press("h", "j")
        assert screen.main.sessions.cursor_key == "s.beta.dev"
        await screen.press("k")
        assert screen.main.sessions.cursor_key == "s.alpha.topic"


async def test_the_focus_moves_with_all_its_keys(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        seen = [screen.focused]
        for key in ("h", "h", "l", "enter", "l", "h", "left", "right", "enter", "escape", "escape", "escape", "enter"):
            await screen.press(key)
            seen.append(screen.focused)
        p, s, d = "projects", "sessions", "detail"
        assert seen == [s, p, p, s, d, d, s, p, s, d, s, p, p, s]
        for key, place in (("tab", d), ("shift+tab", s), ("shift+tab", p), ("tab", s)):
            await screen.press(key)
            assert screen.focused == place


async def test_a_click_selects_a_row_and_a_key(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.pilot.click("#sessions", offset=(20, 3))  # under border, titles and the first row
        await screen.until(lambda: screen.main.sessions.cursor_key == "s.alpha.topic")
        await screen.pilot.click("#projects", offset=(8, 3))
        await screen.until(lambda: [row.key for row in screen.main.sessions.rows] == ["s.beta.dev"])
        await screen.pilot.click("#keys", offset=(screen.lines[-1].index("? help"), 0))
        await screen.until(lambda: isinstance(screen.app.screen, HelpScreen))


# --- filter and zoom ---


async def test_the_filter_narrows_as_it_is_typed_and_escape_clears_it(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        table = screen.main.sessions

        def keys() -> list[str]:
            return [row.key for row in table.rows]

        await screen.press("slash", *"TOP")
        await screen.until(lambda: keys() == ["s.alpha.topic"])
        await screen.sees("Sessions · 1 of 4")
        await screen.press("enter")
        assert (screen.focused, keys()) == ("sessions", ["s.alpha.topic"])
        assert table.border_subtitle == "/TOP"
        assert screen.main.sessions.cursor_key == "s.alpha.topic"
        await screen.press("slash", *"xx")
        await screen.sees("Nothing matches the filter. Press esc to clear it.")
        await screen.sees("Sessions · 0 of 4")
        await screen.press("escape")
        await screen.until(lambda: len(keys()) == 4)
        assert table.border_title == "Sessions · 4"
        assert screen.focused == "sessions"
        await screen.press("slash", *"beta/d", "enter")  # by project and name, as one writes it
        assert keys() == ["s.beta.dev"]
        await screen.press("escape")
        assert len(keys()) == 4
        await screen.press("h", "slash", *"gam", "enter")
        assert [row.key for row in screen.main.projects.rows] == ["*", "p.gamma"]
        assert screen.main.projects.border_title == "Projects · 1 of 3"


async def test_zoom_gives_a_pane_the_whole_screen_and_follows_the_focus(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("z")
        assert "Projects" not in screen.text
        assert screen.main.sessions.outer_size.width == 120
        assert screen.main.sessions.outer_size.height == 34
        await screen.press("l")
        assert screen.main.detail.outer_size.width == 120
        assert screen.focused == "detail"
        await screen.press("escape")
        assert "Projects" in screen.text
        assert screen.focused == "detail"


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_draws(rig: Rig, size: tuple[int, int]) -> None:
    async with shown(peopled(rig), size) as screen:
        for keys in (["N"], ["escape", "n"], ["escape", "question_mark"], ["escape", "z"], ["z", "h"]):
            for key in keys:
                await screen.press(key)
                await screen.until(lambda: len(screen.lines) == size[1], f"{key} to be drawn")
            assert max(cell_len(line) for line in screen.lines) <= size[0]
        if size[0] >= 40:
            assert "alpha" in screen.text
        await screen.pilot.resize_terminal(120, 36)
        await screen.sees("topic")


# --- what keys are for ---


async def test_help_lists_every_action(rig: Rig) -> None:
    async with shown(peopled(rig), (120, 100)) as screen:
        await screen.press("question_mark")
        for words in [action.help for action in ACTIONS] + [words for _, words in SHARED_KEYS]:
            assert words in screen.words
        await screen.press("escape")
        assert screen.app.screen is screen.main


async def test_every_action_has_a_key(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        for action in ACTIONS:
            owners = (screen.main.detail.log_view,) if L in action.places else (screen.main, screen.app)
            for key in action.keys.split(","):
                bound = {binding.id for owner in owners for binding in _bindings(owner, key)}
                assert bound & {action.binding_id, f"{action.binding_id}.{key}"}, (action.name, key)


def _bindings(owner: DOMNode, key: str) -> Sequence[Binding]:
    return textual_screen.key_bindings(owner).get(key, [])


async def test_the_footer_offers_only_what_applies(rig: Rig) -> None:
    async with shown(peopled(rig), (200, 36)) as screen:
        offered = ("shell", "attach", "restart", "stop", "remove", "new session", "filter", "help")
        assert all(f" {word} " in screen.keys for word in offered)
        assert not any(f" {word} " in screen.keys for word in ("retry", "cancel", "undo", "edit source"))
        await screen.press("j")
        assert " shell " not in screen.keys
        assert " start " in screen.keys
        await screen.press("j")
        assert " retry " in screen.keys
        await screen.press("h")
        assert " remove " not in screen.keys  # all projects: nothing to remove
        await screen.press("G")
        assert " edit source " in screen.keys
        assert " retry " in screen.keys
        assert not any(f" {word} " in screen.keys for word in ("stop", "start", "stop/start"))


async def test_without_any_live_project_no_session_is_offered(rig: Rig) -> None:
    project = a_project(rig, "alpha")
    rig.put(replace(project, deleted_at="2026-11-23T09:00:00Z"))
    async with shown(rig) as screen:
        assert " new project " in screen.keys
        assert " new session " not in screen.keys


async def test_the_palette_has_the_actions(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        commands = {command.title: command.help for command in screen.app.get_system_commands(screen.app.screen)}
        assert commands["Shell"] == "Open a shell in the container"
        assert "Edit source" not in commands
        await screen.press("ctrl+p", *"new pro")
        await screen.sees("Add a project from a repository")
        await screen.press("down", "enter")
        await screen.sees("enter adds it, esc leaves")


# --- doing things ---


async def test_stop_and_start_from_the_row(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("S")
        await screen.until(lambda: rig.session("s.alpha.main").state is SessionState.STOPPED)
        await screen.until(lambda: "○ stopped" in screen.row("main"))
        await screen.press("S")
        await screen.until(lambda: rig.session("s.alpha.main").state is SessionState.RUNNING)
        await screen.until(lambda: "● running" in screen.row("main"))


async def test_removing_a_session_names_what_goes_and_no_keeps_it(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        for answer in ("n", "escape", "enter", "q"):  # Enter means No unless the other button was focused
            await screen.press("D")
            await screen.sees("No unsaved work")
            for words in (
                "Remove session main?",
                "alpha/main",
                "data/projects/p.alpha/sessions",
                "kept for 7 days; u undoes",
            ):
                assert words in screen.text
            await screen.press(answer)
            assert screen.app.screen is screen.main
        assert rig.session("s.alpha.main").deleted_at is None
        assert not rig.relay.jobs.running()
        await screen.press("D")
        await screen.sees("No unsaved work")
        await screen.press("l", "enter")
        await screen.until(lambda: rig.session("s.alpha.main").deleted_at)
        await screen.sees("Removed main. Press u to restore it.")
        await screen.until(lambda: "s.alpha.main" not in [row.key for row in screen.main.sessions.rows])
        await screen.press("u")
        await screen.until(lambda: rig.session("s.alpha.main").state is SessionState.RUNNING)
        await screen.until(lambda: "s.alpha.main" in [row.key for row in screen.main.sessions.rows])


async def test_removing_a_project_counts_what_goes(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("h", "j", "D")
        await screen.sees("Remove project alpha?")
        for words in (
            "https://host.example/team/alpha.git",
            "sessions 3",
            "topic (stopped) on topic",
            "containers 3",
            "directories 4",
            "to data/trash, kept for 7 days; u undoes",
        ):
            assert words in screen.words
        await screen.press("y")
        await screen.until(lambda: rig.project("p.alpha").deleted_at)
        await screen.until(lambda: [row.key for row in screen.main.projects.rows] == ["*", "p.beta", "p.gamma"])


async def test_the_last_session_is_refused_with_what_to_do_instead(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("G", "D")
        await screen.sees("dev is the last session of beta")
        await screen.sees("In the projects pane D removes the project")
        assert screen.app.screen is screen.main
        assert rig.session("s.beta.dev").deleted_at is None


async def test_a_removal_that_fails_says_so_on_the_row_and_goes_on(rig: Rig) -> None:
    async with shown(peopled(rig), (200, 36)) as screen:
        rig.engine.failures["remove"] = EngineError("The container cannot be removed", "device or resource busy")
        await screen.press("D")
        await screen.sees("No unsaved work")
        await screen.press("y")
        await screen.sees("The container cannot be removed: device or resource busy")
        rig.engine.failures.clear()
        await screen.press("R")
        await screen.until(lambda: rig.session("s.alpha.main").deleted_at)


async def test_the_engine_down_is_said_in_words_and_rows_say_unknown(rig: Rig) -> None:
    peopled(rig)
    rig.engine.go_down()
    async with shown(rig) as screen:
        await screen.until(lambda: "engine down: dial unix: connection refused" in screen.status)
        assert "? unknown" in screen.row("main")
        assert "○ stopped" in screen.row("topic")
        assert "running" not in screen.text
        await screen.press("h", "g")
        await screen.sees("The engine does not answer")
        await screen.sees("Start it.")
        rig.engine.come_back()
        await screen.until(lambda: "Fake 1.0" in screen.status)
        await screen.until(lambda: "● running" in screen.row("main"))


async def test_what_needs_a_running_session_says_so(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("j", "e")
        await screen.sees("topic is not running")
        assert rig.engine.lent == []


async def test_progress_is_on_the_row_and_c_cancels_it(rig: Rig) -> None:
    peopled(rig)
    rig.git.gates["clone_base"] = threading.Event()
    async with shown(rig) as screen:
        project = rig.relay.add_project(NewProject(source=SOURCE, name="delta"))
        await screen.sees("delta  receiving 42%")
        screen.main.select(project.id)
        await screen.sees("Receiving objects  42%  12.0 MiB at 3.5 MiB/s   c cancels it")
        assert "The first session is created when the clone is complete." in screen.text
        assert "1 job" in screen.status
        await screen.until(lambda: " cancel " in screen.keys)
        await screen.press("c")
        await screen.until(lambda: "delta" not in screen.text)
        assert project.id not in rig.relay.store.read().projects


async def test_a_sessions_progress_takes_the_place_of_its_branch(rig: Rig) -> None:
    project = peopled(rig).project("p.alpha")
    rig.engine.gates["create"] = threading.Event()
    async with shown(rig, (160, 36)) as screen:
        session = rig.drafted(project, branch="dev", name="pulled")
        (Path(session.work_dir) / ".git").mkdir(parents=True)  # so that only the image is still to come
        rig.relay.build(session)
        await screen.until(lambda: "Pulling the image  40%  2/5 layers" in screen.row("pulled"))
        assert "━" in screen.row("pulled")
        rig.engine.gates["create"].set()
        await screen.until(lambda: "● running" in screen.row("pulled"))
        assert "dev" in screen.row("pulled")


async def test_quitting_asks_when_something_is_under_way(rig: Rig) -> None:
    rig.git.gates["clone_base"] = threading.Event()
    async with shown(rig) as screen:
        rig.relay.add_project(NewProject(source=SOURCE))
        await screen.press("q")
        await screen.sees("Cloning alpha")
        await screen.press("n")
        assert screen.app.screen is screen.main
        assert screen.app.return_code is None
        await screen.press("q", "y")
        await screen.until(lambda: screen.app.return_code == 0)


async def test_a_projects_clone_that_fails_is_edited_and_tried_again(rig: Rig) -> None:
    rig.git.failures["clone_base"] = GitError("Cannot clone the repository", "fatal: not found", "Check the URL.")
    async with shown(rig) as screen:
        project = rig.relay.add_project(NewProject(source="https://host.example/typo.git", name="alpha"))
        await screen.sees("alpha  Cannot clone")
        screen.main.select(project.id)
        await screen.sees("fatal: not found")
        rig.git.failures.clear()
        await screen.press("E")
        await screen.sees("Source of alpha")
        assert "https://host.example/typo.git" in screen.text
        await screen.type("source", "ftp://host.example/x")
        await screen.press("enter")
        await screen.sees("relay cannot clone from ftp://")
        await screen.type("source", "https://ada:pw@host.example/right.git")
        await screen.press("enter")
        await screen.until(lambda: [s.state for s in rig.live()] == [SessionState.RUNNING])
        assert rig.project(project.id).source == "https://host.example/right.git"
        await screen.sees("● running")


async def test_a_retry_that_another_relay_forestalled_is_told(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.press("h", "G")
        with rig.locks.hold("p.gamma", "relay project retry"):
            await screen.press("R")
            await screen.sees("relay project retry")


# --- the log ---


async def test_the_log_follows_and_starts_anew_with_the_session(rig: Rig) -> None:
    async with shown(peopled(rig)) as screen:
        await screen.sees("ready to serve")
        rig.engine.containers[rig.session("s.alpha.main").container_id].say(b"more \x1b[2Jcame\r\n")
        await screen.sees("more came")
        await screen.press("G")
        await screen.sees("No output yet.")
        await screen.press("g")
        await screen.sees("more came")
        assert screen.main.detail.query_one(Tabs).active == "log"


# --- text that others wrote ---


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_hostile_words_reach_no_line_raw(tmp_path: Path, size: tuple[int, int]) -> None:
    git = FakeGit(["main", HOSTILE.replace("\n", ""), "日本語/ブランチ"])
    profiles = MappingProxyType({"default": Profile(name="default")})
    hostile = build(tmp_path / "h", git=git, config=Config(path=Path("c"), glyphs="unicode", profiles=profiles))
    fault = Fault("engine", HOSTILE, f"{HOSTILE}\n{HOSTILE}", HOSTILE)
    alpha = replace(a_project(hostile, "alpha", source=HOSTILE), name=HOSTILE)
    hostile.put(alpha, replace(a_project(hostile, "beta", error=CLONE_FAILED), name="日本語", clone_error=fault))
    main = a_session(hostile, alpha, "s", branch=HOSTILE, image=HOSTILE, output=HOSTILE.encode())
    hostile.put(replace(main, name=HOSTILE, notes=(HOSTILE,)))
    failed = a_session(hostile, alpha, "f", SessionState.ERROR, error=fault)
    hostile.put(replace(failed, profile=HOSTILE))
    async with shown(hostile, size) as screen:
        await screen.sees("[ERROR] [/x] [@click=app.quit]y")
        for keys in (
            ["right_square_bracket"],
            ["j"],
            ["left_square_bracket", "e"],
            ["D"],
            ["n", "n"],
            ["escape", "h", "G"],
            ["E"],
            ["escape", "k", "D"],
            ["n", "l", "z", "slash", "[", "/", "x", "]", "enter"],
            ["escape", "escape"],
        ):
            await screen.press(*keys)
            for line in screen.lines:
                assert not [c for c in line if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u200b"], keys
                assert cell_len(line) <= size[0]
        assert screen.app.return_code is None


async def test_a_name_from_the_engine_cannot_forge_the_status_line(rig: Rig) -> None:
    async with shown(rig) as screen:
        status = EngineStatus("down", HOSTILE, HOSTILE)
        rig.relay.engine.status = status
        rig.put(a_project(rig, "alpha"))
        await screen.until(lambda: "engine down: [ERROR] [/x]" in screen.lines[0])
        assert "\x1b" not in screen.text


async def test_a_store_that_cannot_be_read_keeps_the_rows_and_says_so(
    rig: Rig,
) -> None:
    peopled(rig)
    async with shown(rig) as screen:
        path = rig.relay.data_dir.store
        good = path.read_bytes()
        path.write_text('{"_meta": {"store": {"schema": 999}}}')
        await screen.until(lambda: screen.main.state.trouble is not None)
        await screen.until(lambda: "The store was written by a newer relay" in screen.lines[0])
        assert "topic" in screen.text
        path.write_bytes(good)
        await screen.until(lambda: screen.main.state.trouble is None)


async def test_of_all_projects_each_session_says_whose_it_is_however_long_another_is_called(tmp_path: Path) -> None:
    rig = build(tmp_path)
    for name in ("alpha", "beta"):
        a_session(rig, a_project(rig, name), "main", SessionState.STOPPED)
    a_session(rig, rig.relay.store.read().live_projects()[0], "n" * 60, branch="b" * 120)
    async with shown(rig, size=(80, 24)) as screen:
        await screen.sees("PROJECT")
        assert screen.row("beta  ") and "stopped" in next(r for r in screen.lines if "beta" in r and "main" in r)


async def test_a_logs_bar_leaves_no_trace_where_there_is_nothing_to_scroll(tmp_path: Path) -> None:
    rig = build(tmp_path)
    a_session(rig, a_project(rig, "alpha"), "main", output=b"line\n" * 100)
    async with shown(rig) as screen:
        for theme in ("textual-light", "dracula"):
            screen.app.theme = theme
            await screen.pilot.pause()
            view = screen.main.detail.log_view
            assert view.styles.scrollbar_background == screen.main.styles.background
