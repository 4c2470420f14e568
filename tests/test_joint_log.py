"""Several sessions' logs as one: by time, with names, in colours that stay; opened by marks or for a project."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fakes import Rig, build
from on_screen import Shown, a_project, a_session, shown
from waiting import wait_until

from relay_tui.model import Session, SessionState
from relay_tui.services.joint_feed import MOST, JointFeed, Voice, colour, interleave, label
from relay_tui.services.log_source import LogSource
from relay_tui.services.ports import LogBatch
from relay_tui.services.ports.log import NOTICE, STDERR, STDOUT, TIMELESS, packed
from relay_tui.text import log_plain
from relay_tui.ui.actions import ACTIONS, ANYWHERE, L
from relay_tui.ui.bars import KeyBar
from relay_tui.ui.log_prompt import LogPrompt
from relay_tui.ui.screens.joint_log import JointLog


def batch(*lines: tuple[str, str], stream: int = STDOUT) -> LogBatch:
    """Lines written at so many seconds past ten."""
    written = [f"2026-11-24T10:00:{second}.000000000Z {text}".encode() for second, text in lines]
    return packed(written, bytes([stream]) * len(written))


def texts(merged: LogBatch) -> list[str]:
    """The lines without their times."""
    return [log_plain(merged.parts(index)[1].decode()) for index in range(len(merged))]


def test_lines_come_by_time_each_behind_its_name() -> None:
    """Also where one log has several batches; of one moment, in the order of the logs."""
    merged = interleave(
        [
            (b"a ", batch(("01", "one"), ("03", "three"))),
            (b"b ", batch(("02", "two"), ("03", "also three"), stream=STDERR)),
            (b"a ", batch(("04", "four"))),
        ]
    )
    assert texts(merged) == ["a one", "b two", "a three", "b also three", "a four"]
    assert list(merged.flags) == [STDOUT, STDERR, STDOUT, STDERR, STDOUT]
    assert merged.parts(1)[0] == b"2026-11-24T10:00:02.000000000Z"


def test_a_line_without_a_time_stays_behind_the_one_before_it() -> None:
    """A notice, or a log that has no times."""
    notice = packed([b"ended"], bytes([NOTICE | TIMELESS]))
    merged = interleave([(b"a ", batch(("05", "last"))), (b"a ", notice), (b"b ", batch(("04", "b"), ("06", "later")))])
    assert texts(merged) == ["b b", "a last", "a ended", "b later"]
    assert merged.flags[2] == NOTICE | TIMELESS


def test_names_are_safe_aligned_and_in_a_colour_of_their_own() -> None:
    """The same colour every time; a name is a name, whatever is in it."""
    assert colour("s1") == colour("s1")
    assert len({colour(f"session-{number}") for number in range(60)}) > 5
    hostile = label(Voice("s1", "x\x1b[2Jy", "c"), 6).decode()
    assert "\x1b[2J" not in hostile
    assert log_plain(label(Voice("s1", "ab", "c"), 6).decode()) == "ab     "
    assert len(log_plain(label(Voice("s1", "n" * 90, "c"), 24).decode())) == 25


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


def test_the_feed_follows_all_and_ends_with_close(scene: Scene) -> None:
    """What was written and what comes; no thread reads on."""
    voices = [Voice(s.id, s.name, s.container_id) for s in (scene.one, scene.two)]
    before = threading.active_count()
    woken = threading.Event()
    feed = JointFeed(LogSource(scene.rig.relay.runtime), voices, woken.set, tail=10, hold=(0.01, 0.01))
    seen: list[str] = []

    def came(*words: str) -> bool:
        seen.extend(text for merged in feed.drain() for text in texts(merged))
        return all(word in seen for word in words)

    wait_until(lambda: came("one first of one", "two first of two"))
    scene.say(scene.one, b"more\n")
    wait_until(lambda: came("one more"))
    assert woken.is_set()
    wait_until(lambda: feed.ended == 1)
    feed.close()
    wait_until(lambda: threading.active_count() <= before)


def test_no_more_than_so_many_at_once(scene: Scene) -> None:
    """However many sessions there are."""
    voices = [Voice(f"s{number}", f"n{number}", "gone") for number in range(MOST + 6)]
    feed = JointFeed(LogSource(scene.rig.relay.runtime), voices, lambda: None, tail=1)
    assert len(feed) == MOST
    feed.close()


def joint(screen: Shown) -> JointLog:
    """The log over the main screen."""
    found = screen.app.screen
    assert isinstance(found, JointLog)
    return found


async def opened(screen: Shown) -> None:
    """Press L, and see it open."""
    await screen.press("L")
    await screen.until(lambda: isinstance(screen.app.screen, JointLog))
    await screen.sees("esc back")


async def test_a_project_s_sessions(scene: Scene) -> None:
    """With their names, and what comes; esc goes back."""
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
    """Of two projects: full names. A mark shows on its row, and goes as it came."""
    async with shown(scene.rig) as screen:
        await screen.press(" ")
        assert "◆ one" in screen.row("● running")
        await screen.press(" ", "k", " ", " ")
        marked = [session.name for session in (scene.one, scene.two, scene.dev) if session.id in screen.main.marked]
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
        await screen.press("/", *"alpha", "enter")
        await screen.until(lambda: state(screen) == "paused · /alpha 2 of 2")
        assert " next " in keys(screen)
        await screen.press("N")
        await screen.until(lambda: "/alpha 1 of 2" in state(screen))
        assert "▶alpha/one first of one" in screen.words
        await screen.press("n")
        await screen.until(lambda: "/alpha 2 of 2" in state(screen))
        scene.say(scene.one, b"later\n")
        await screen.until(lambda: "/alpha 2 of 3" in state(screen))
        await screen.press("n")
        await screen.until(lambda: "/alpha 3 of 3" in state(screen))
        await screen.press("escape")
        await screen.until(lambda: "/alpha" not in state(screen))
        assert " next " not in keys(screen)
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)


async def test_filter_applies_to_what_is_there_and_to_what_comes(scene: Scene) -> None:
    """By a name as by any word; what is no pattern is told where it is typed."""
    async with shown(scene.rig) as screen:
        await screen.press("h")
        await opened(screen)
        await screen.sees("first of dev")
        await screen.press("&", *"!(beta")
        await screen.sees("not a pattern")
        await screen.press(")", "enter")
        await screen.until(lambda: "first of dev" not in screen.text)
        assert "first of one" in screen.text
        scene.say(scene.dev, b"hidden\n")
        scene.say(scene.one, b"shown\n")
        await screen.sees("alpha/one shown")
        assert "hidden" not in screen.text
        await screen.press("escape")
        await screen.sees("beta/dev hidden")


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
        await screen.until(lambda: joint(screen).query_one(LogPrompt).display)
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
        await screen.sees("Saved to")
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
    """Every key that is offered does what the table says; nothing is bound that the table does not have."""
    async with shown(scene.rig, (200, 60)) as screen:
        await opened(screen)
        log = joint(screen)
        here = [action for action in ACTIONS if L in action.places or action.name in ANYWHERE]
        for action in here:
            for key in action.keys.split(","):
                owners = (log.log_view, log, screen.app)
                bound = [b for o in owners for b in o._bindings.key_to_bindings.get(key, [])]
                if action.name != "command_palette":  # Textual's own
                    assert action.binding_id in {(b.id or "").removesuffix(f".{key}") for b in bound}, action.name
            assert any(hasattr(owner, f"action_{action.name}") for owner in (log, screen.app)), action.name
        assert {b.id for found in log._bindings.key_to_bindings.values() for b in found if b.id} <= {
            action.binding_id for action in here
        }
        for action in here:
            if action.footer and action.name not in {"log_next", "log_previous", "quit"}:
                assert f" {action.label} " in keys(screen), action.name
        assert " new session " not in keys(screen)
        commands = {command.title: command.help for command in screen.app.get_system_commands(screen.app.screen)}
        assert commands["Wrap"] == "Fold long lines, or cut them"
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
