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


async def test_search_and_filter(scene: Scene) -> None:
    """As in the ordinary log; a name is found like any word."""
    async with shown(scene.rig) as screen:
        await screen.press("h")  # all projects
        await opened(screen)
        await screen.sees("first of dev")
        await screen.press("ampersand")
        await screen.type("pattern", "!beta")
        await screen.press("enter")
        await screen.until(lambda: "first of dev" not in screen.text)
        assert "first of one" in screen.text
        await screen.press("ampersand", "enter")
        await screen.sees("first of dev")
        await screen.press("/")
        await screen.type("pattern", "first")
        await screen.press("enter")
        await screen.sees("/first")
        await screen.press("/")
        await screen.type("pattern", "(")
        await screen.press("enter")
        await screen.sees("not a pattern")
        await screen.press("escape", "escape")
        await screen.until(lambda: screen.app.screen is screen.main)


async def test_the_other_keys_of_a_log(scene: Scene) -> None:
    """Wrap, times, follow, since, mark, clear, save: as in the ordinary log."""
    async with shown(scene.rig) as screen:
        await opened(screen)
        await screen.sees("first of one")
        await screen.press("m")
        await screen.until(lambda: "────────────" in joint(screen).log_view.visible_text())
        await screen.press("w", "t", "s")
        await screen.sees("paused · wrap · time")
        await screen.press("ctrl+s")
        await screen.sees("Saved to")
        saved = [path for path in scene.rig.root.parent.rglob("*alpha*") if path.is_file()]
        assert ["one first of one" in path.read_text() for path in saved] == [True]
        await screen.press("C")
        await screen.until(lambda: "first of one" not in screen.text)
        await screen.press("0")
        await screen.sees("first of one")
        await screen.press("1")
        await screen.sees("since 1m")
