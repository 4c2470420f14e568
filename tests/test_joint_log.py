"""Several sessions' logs as one: by time, with names, in colours that stay; opened by marks or for a project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import textual_screen
from fakes import Rig, build
from on_screen import Shown, a_project, a_session, shown
from rich.cells import cell_len

from relay_tui.config import Config
from relay_tui.domain.events import RecordsChanged
from relay_tui.domain.models import Session, SessionState
from relay_tui.text.ansi import plain_text
from relay_tui.ui.keys.actions import ACTIONS, ANYWHERE, L
from relay_tui.ui.log.merged_screen import MergedLogScreen
from relay_tui.ui.log.prompt import LogPrompt
from relay_tui.ui.log.source_labels import SourceLabels
from relay_tui.ui.widgets.key_bar import KeyBar


class Scene:
    """Three sessions that have written, and one that has no container."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.alpha, self.beta = a_project(rig, "alpha"), a_project(rig, "beta")
        self.one = a_session(rig, self.alpha, "one", output=b"first of one\n")
        self.two = a_session(rig, self.alpha, "two", SessionState.STOPPED, output=b"first of two\n")
        self.dev = a_session(rig, self.beta, "dev", output=b"first of dev\n")

    def say(self, session: Session, words: bytes) -> None:
        """Have a container write."""
        self.rig.engine.of(session).say(words)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(build(tmp_path / "data"))


def joint(screen: Shown) -> MergedLogScreen:
    """The log over the main screen."""
    found = screen.app.screen
    assert isinstance(found, MergedLogScreen)
    return found


async def opened(screen: Shown) -> None:
    """Press L, and see it open."""
    await screen.press("L")
    await screen.until(lambda: isinstance(screen.app.screen, MergedLogScreen))
    await screen.sees("esc back")


async def test_a_project_s_sessions(scene: Scene) -> None:
    """The log shows the sessions' names and new lines. Escape returns."""
    async with shown(scene.rig) as screen:
        await screen.press("h", "j")
        await opened(screen)
        await screen.sees("alpha · 2 logs")
        await screen.sees("one first of one")
        await screen.sees("two first of two")
        assert "dev" not in screen.text
        scene.say(scene.one, b"[ERROR] [/x] \x1b[2Jmore\n")
        await screen.sees("one [ERROR] [/x] more")
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)


async def test_marked_sessions(scene: Scene) -> None:
    """Sessions of two projects have full names. A mark shows on the row and can be removed by the same key."""
    async with shown(scene.rig) as screen:
        await screen.press(" ")
        assert "◆ one" in screen.row("● running")
        await screen.press(" ", "k", " ", " ")
        ids = screen.main.selection.marked
        marked = [session.name for session in (scene.one, scene.two, scene.dev) if session.id in ids]
        assert marked == ["one", "dev"]
        await opened(screen)
        await screen.sees("marked sessions · 2 logs")
        await screen.sees("alpha/one first of one")
        await screen.sees("beta/dev first of dev")
        assert "first of two" not in screen.text


def in_sight(screen: Shown) -> str:
    """The lines that are to be seen."""
    return joint(screen).log_view.visible_text()


def state(screen: Shown) -> str:
    """The words in the border."""
    return str(joint(screen).query_one("#joint").border_subtitle)


def keys(screen: Shown) -> str:
    """The last line."""
    return str(joint(screen).query_one(KeyBar).render())


async def test_search_goes_on_and_back_and_esc_forgets_it(scene: Scene) -> None:
    """Also a name is found; n and N are offered only meanwhile; what comes is counted too."""
    async with shown(scene.rig) as screen:
        await screen.press("h")  # all projects
        await opened(screen)
        await screen.sees("first of dev")
        assert " next " not in keys(screen)
        await screen.press("/", *"pha.*first", "enter")
        await screen.until(lambda: state(screen) == "paused · /pha.*first 2 of 2")
        assert " next " in keys(screen)
        await screen.press("N")
        await screen.until(lambda: "/pha.*first 1 of 2" in state(screen))
        assert "▶alpha/one first of one" in screen.words
        await screen.press("n")
        await screen.until(lambda: "/pha.*first 2 of 2" in state(screen))
        scene.say(scene.one, b"not the first\n")
        await screen.until(lambda: "/pha.*first 2 of 3" in state(screen))
        await screen.press("n")
        await screen.until(lambda: "/pha.*first 3 of 3" in state(screen))
        await screen.press("escape")
        await screen.until(lambda: "/pha" not in state(screen))
        assert " next " not in keys(screen)
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)


async def test_filter_applies_to_what_is_there_and_to_what_comes(scene: Scene) -> None:
    """The name of a session can be matched like any word. An invalid pattern is reported at the input line."""
    async with shown(scene.rig) as screen:
        await screen.press("h")
        await opened(screen)
        await screen.sees("first of dev")
        await screen.press("&", *"!(beta")
        await screen.sees("invalid pattern")
        await screen.press(")", "enter")
        await screen.until(lambda: "first of dev" not in screen.text)
        assert "first of one" in screen.text
        scene.say(scene.dev, b"hidden\n")
        scene.say(scene.one, b"shown\n")
        await screen.sees("alpha/one shown")
        assert "hidden" not in screen.text
        await screen.press("escape")
        await screen.sees("beta/dev hidden")


async def test_a_pattern_for_a_line_s_beginning_finds_it_behind_the_name_too(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await screen.press("h")
        await opened(screen)
        await screen.sees("first of dev")
        scene.say(scene.dev, b"second\n")
        await screen.sees("second")
        for words, left in [("^second", "second"), ("!^first", "second"), ("^beta.*first", "first of dev")]:
            await screen.press("&")
            joint(screen).query_one(LogPrompt).value = words
            await screen.press("enter")
            await screen.until(lambda: "first of one" not in in_sight(screen), words)
            assert f"beta/dev  {left}" in in_sight(screen)
            await screen.press("escape")
        await screen.press("/", *"^second", "enter")
        await screen.until(lambda: "/^second 1 of 1" in state(screen))


async def test_wrap_times_follow_and_mark(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("first of one")
        await screen.press("m")
        await screen.until(lambda: "────────────" in in_sight(screen))
        scene.say(scene.one, b"x" * 200 + b"end\n")
        await screen.until(lambda: "xxx" in screen.text)
        assert "xend" not in screen.text
        await screen.press("w")
        await screen.sees("xend")
        await screen.press("t")
        await screen.sees(":00.000 one first of one")
        await screen.press("s")
        await screen.until(lambda: state(screen) == "paused · wrap · time")
        scene.say(scene.one, b"later\n")
        await screen.sees("+1 new")
        await screen.press("w", "t", "s")
        await screen.until(lambda: state(screen) == "following")
        await screen.sees("one later")


async def test_first_last_and_half_pages(scene: Scene) -> None:
    scene.say(scene.one, b"".join(b"line %d\n" % number for number in range(200)))
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("line 199")
        rows = joint(screen).log_view.size.height
        await screen.press("ctrl+u")
        await screen.until(lambda: in_sight(screen).endswith(f"line {199 - rows // 2}"))
        await screen.press("ctrl+u", "ctrl+d")
        await screen.until(lambda: in_sight(screen).endswith(f"line {199 - rows // 2}"))
        await screen.press("g")
        await screen.sees("one first of one")
        assert state(screen) == "paused"
        await screen.press("G")
        await screen.sees("line 199")
        assert state(screen) == "following"


async def test_full_screen_leaves_the_log_alone_and_is_left_with_esc(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("first of one")
        await screen.press("f")
        await screen.until(lambda: "esc back" not in screen.text)
        assert joint(screen).log_view.size.height == screen.app.size.height
        assert "│" not in screen.text
        await screen.press("/", *"one")
        await screen.until(lambda: joint(screen).query_one(LogPrompt).is_open)
        await screen.press("enter", "escape")
        assert "esc back" not in screen.text
        await screen.press("escape")
        await screen.sees("esc back")


async def test_copy_and_save_take_the_names_along(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("first of one")
        await screen.sees("first of two")
        await screen.press("y")
        await screen.sees("Copied")
        assert "one first of one" in screen.app.clipboard.split("\n")
        await screen.press("ctrl+s")
        await screen.sees("Saved ")
        (saved,) = (scene.rig.root / "logs").iterdir()
        assert saved.name.startswith("alpha-")
        assert "one first of one" in saved.read_text().split("\n")


async def test_since_and_clear(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("first of one")
        await screen.press("C")
        await screen.until(lambda: "first of one" not in screen.text)
        scene.say(scene.one, b"after\n")
        await screen.sees("one after")
        await screen.press("0")
        await screen.sees("first of one")
        await screen.press("1")
        await screen.sees("since 1m")
        await screen.until(lambda: "first of one" not in screen.text)  # written long before


async def test_the_one_table_gives_its_bindings_footer_help_and_palette(scene: Scene) -> None:
    """Every offered key does what the table describes. No other key is bound."""
    async with shown(scene.rig, (200, 60)) as screen:
        await opened(screen)
        log = joint(screen)
        here = [action for action in ACTIONS if L in action.places or action.name in ANYWHERE]
        for action in here:
            for key in action.keys.split(","):
                owners = (log.log_view, log, screen.app)
                bound = [b for o in owners for b in textual_screen.key_bindings(o).get(key, [])]
                if action.name != "command_palette":  # Textual's own
                    assert action.binding_id in {(b.id or "").removesuffix(f".{key}") for b in bound}, action.name
            assert action.name in log.dispatcher.handlers, action.name
        assert {b.id for found in textual_screen.key_bindings(log).values() for b in found if b.id} <= {
            action.binding_id for action in here
        }
        for action in here:
            if action.footer and action.name not in {"log_next", "log_previous", "quit"}:
                assert f" {action.label} " in keys(screen), action.name
        assert " new session " not in keys(screen)
        commands = {command.title: command.help for command in screen.app.get_system_commands(screen.app.screen)}
        assert commands["Wrap"] == "Toggle line wrap"
        assert not {"Next", "New session"} & set(commands)
        await screen.press("question_mark")
        await screen.sees("esc closes")
        assert all(action.help in screen.text for action in here)
        assert "Create a session on any branch" not in screen.text


async def test_a_user_s_own_keys_reach_it(scene: Scene) -> None:
    """By the ids of the table."""
    async with shown(scene.rig) as screen:
        screen.app.set_keymap({"relay.log_wrap": "x", "relay.back": "z"})
        await opened(screen)
        await screen.press("x")
        await screen.until(lambda: "wrap" in state(screen))
        await screen.press("z")
        await screen.until(lambda: screen.app.screen is screen.main)


async def test_q_leaves_the_log_before_it_leaves_relay(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.press("q")
        await screen.until(lambda: screen.app.screen is screen.main)
        assert screen.app.return_code is None


async def test_scrolling_up_loads_what_was_before_of_all(scene: Scene) -> None:
    """Opened with the last of each; `g` brings the first line, and every line once, in order."""
    scene.say(scene.one, b"".join(b"%d\n" % number for number in range(3_000)))
    scene.say(scene.two, b"".join(b"%d\n" % number for number in range(1_500)))
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("one 2999")
        view = joint(screen).log_view
        assert len(view.buffer) < 2_100
        await screen.press("g")
        await screen.sees("one first of one")
        await screen.until(lambda: "loading" not in state(screen))
        lines = [plain_text(line.raw) for _, line in view.buffer.lines(view.buffer.first, view.buffer.end)]
        told = [line for line in lines if "ended" not in line]
        assert len(told) == len(set(told)) == 4_502
        for name, count in (("one", 3_000), ("two", 1_500)):
            mine = [line for line in told if line.startswith(name)]
            assert mine == [f"{name} first of {name}", *(f"{name} {number}" for number in range(count))]
        assert told[2:6] == ["one 0", "two 0", "one 1", "two 1"]
        await screen.press("C")
        scene.say(scene.one, b"after\n")
        await screen.sees("one after")
        await screen.press("g")
        await screen.until(lambda: in_sight(screen) == "one after")  # what was cleared stays so


async def test_an_end_and_a_new_start_are_seen_as_they_happen(scene: Scene) -> None:
    async with shown(scene.rig) as screen:
        await screen.press("h", "j")
        await opened(screen)
        await screen.sees("alpha · 2 logs · 1 ended")
        await screen.sees("two ── ended ──")
        scene.rig.engine.end(scene.one, 7)
        await screen.sees("one ── ended, exit code 7 ──")
        await screen.until(lambda: "ended" in state(screen))
        await screen.until(lambda: scene.rig.session(scene.one.id).state is SessionState.ERROR)
        scene.rig.engine.revive(scene.one)
        await screen.until(lambda: "ended" not in state(screen))
        scene.say(scene.one, b"alive\n")
        await screen.sees("one alive")
        assert screen.text.count("first of one") == 1


async def test_a_session_that_joins_and_one_that_is_removed(scene: Scene) -> None:
    """One that joins brings what it writes from then on, aligned by the widest name."""
    async with shown(scene.rig) as screen:
        await screen.press("h", "j")
        await opened(screen)
        await screen.sees("alpha · 2 logs")
        late = a_session(scene.rig, scene.alpha, "joined-late")
        scene.rig.relay.bus.publish(RecordsChanged())
        await screen.sees("alpha · 3 logs")
        scene.rig.put(replace(scene.two, deleted_at="2026-11-24T00:00:00.000Z"))
        scene.rig.relay.bus.publish(RecordsChanged())
        await screen.sees("two ── removed ──")
        await screen.sees("alpha · 2 logs")
        assert late.id in scene.rig.relay.store.read().sessions


async def test_names_and_lines_that_would_do_harm(scene: Scene) -> None:
    """Markup, escape sequences, bidi controls, wide characters: shown as text, aligned, and nothing happens."""
    hostile = "[ERROR] [/x] [@click=app.quit]y \x1b[2J\x1b]52;c;aGk=\x07 \u202e\u200b日本語 \x9b31m"
    bad = a_session(scene.rig, scene.alpha, "[/x]\x1b[2J\u202e日本", output=hostile.encode() + b"\n")
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("[ERROR] [/x] [@click=app.quit]y")
        assert not any(c in screen.text for c in "\x1b\x9b\u202e\u200b")
        assert scene.rig.session(bad.id).name == bad.name
        rows = [row for row in screen.lines if "[ERROR]" in row or "first of" in row]
        starts = {cell_len(row[: row.index(word)]) for row in rows for word in ("[ERROR]", "first of") if word in row}
        assert len(starts) == 1
        await screen.press("y", "ctrl+s")
        await screen.sees("Saved ")
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_it_fits_every_screen(scene: Scene, size: tuple[int, int]) -> None:
    async with shown(scene.rig, size) as screen:
        await opened(screen)
        await screen.sees("first of one")
        await screen.pilot.resize_terminal(60, 20)
        await screen.until(lambda: len(screen.lines) == 20)
        await screen.sees("first of one")
        assert max(cell_len(line) for line in screen.lines) <= 60


async def test_a_terminal_of_ascii_gets_nothing_else(tmp_path: Path) -> None:
    config = Config(path=tmp_path / "config.toml", glyphs="ascii")
    scene = Scene(build(tmp_path / "data", config=config))
    scene.say(scene.one, "日本語\n".encode())
    async with shown(scene.rig) as screen:
        await screen.press("L")
        await screen.until(lambda: isinstance(screen.app.screen, MergedLogScreen))
        await screen.sees("one ???")
        await screen.press("/", *"first", "enter", "m")
        await screen.until(lambda: "/first" in state(screen))
        assert screen.text.isascii()
        assert screen.lines[0].startswith("+- alpha | 2 logs")


# --- prefixes of the lines ---


def test_a_dozen_sessions_have_a_dozen_colours_and_keep_them() -> None:
    """Of the 16 that every terminal has, none of them grey, black or white; the same on every machine."""
    names = SourceLabels(ascii=False)
    before = names.labels({f"s{number:02}": f"n{number}" for number in range(12)})
    styles = [label.partition(b"m")[0] for label in before.values()]
    assert len(set(styles)) == 12
    assert len({int(code) for code in (style.rpartition(b"[")[2].rpartition(b";")[2] for style in styles)}) == 12
    more = names.labels({"s": "earlier id", **{f"s{number:02}": f"n{number}" for number in range(12)}})
    assert [more[key].partition(b"m")[0] for key in before] == styles
    assert more["s"].partition(b"m")[0] not in styles


@pytest.mark.parametrize("ascii_only", [False, True])
def test_names_are_as_wide_as_the_widest_and_differ(ascii_only: bool) -> None:
    named = {
        "a": "日本語",
        "b": "ab",
        "c": "feature/" + "x" * 30 + "-1",
        "d": "feature/" + "x" * 30 + "-2",
        "e": "日" * 40,
    }
    labels = {key: plain_text(label.decode()) for key, label in SourceLabels(ascii=ascii_only).labels(named).items()}
    assert {cell_len(label) for label in labels.values()} == {25}
    assert len(set(labels.values())) == 5
    assert all(label.isascii() for label in labels.values()) is ascii_only
