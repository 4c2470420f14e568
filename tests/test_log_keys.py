"""Keys of the focused log."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import Rig, build
from log_batches import batch
from on_screen import Shown, a_project, a_session, shown
from textual import events

from relay_tui.domain.errors import FileSystemError
from relay_tui.domain.log_batch import STDERR
from relay_tui.ui.log.controller import CLIPBOARD_LIMIT
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.line_text import plain_lines
from relay_tui.ui.log.model.matches import MatchIndex
from relay_tui.ui.log.model.pattern import compile_pattern
from relay_tui.ui.log.pane import TAIL
from relay_tui.ui.log.prompt import LogPrompt


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return build(tmp_path / "data")


@pytest.fixture
def talking(rig: Rig) -> Rig:
    """Return a rig with a session that wrote a hundred lines."""
    output = b"".join(b"%s %d %s\n" % (b"ERROR" if n % 10 == 5 else b"info", n, b"x" * 150) for n in range(100))
    a_session(rig, a_project(rig, "alpha"), "main", output=output)
    return rig


async def in_log(screen: Shown) -> None:
    """Focus the log, its end in sight."""
    await screen.sees("info 99")
    await screen.press("l")
    assert screen.focused == "detail"


async def typed(screen: Shown, key: str, words: str) -> None:
    """Open the prompt and type."""
    await screen.press(key, *words)


def log(screen: Shown) -> str:
    """The lines in sight."""
    return screen.main.detail.log_view.visible_text()


def state(screen: Shown) -> str:
    """The words in the detail's border."""
    return str(screen.main.detail.border_subtitle)


async def test_search_counts_goes_on_and_back_and_esc_forgets_it(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await typed(screen, "/", "err")
        await screen.until(lambda: state(screen) == "following · /err 10", "the count")
        await screen.press("enter")
        await screen.until(lambda: state(screen) == "paused · /err 10 of 10")
        assert "▶ERROR 95" in screen.text
        await screen.press("N")
        await screen.press("N")
        await screen.until(lambda: "/err 8 of 10" in state(screen))
        assert "▶ERROR 75" in screen.text
        await screen.press("n", "n", "n")
        await screen.until(lambda: "/err 1 of 10" in state(screen), "round the end to the first")
        assert "▶ERROR 5 " in screen.text
        assert " next " in screen.keys
        assert " new session " not in screen.keys
        await screen.press("escape")
        await screen.until(lambda: state(screen) == "paused")
        assert screen.focused == "detail"
        await screen.press("n")
        await screen.sees("New session")  # n is what it is elsewhere, once nothing is sought


async def test_n_waits_for_the_matches_and_says_that_there_are_none_only_then(rig: Rig) -> None:
    a_session(rig, a_project(rig, "alpha"), "main", output=b"".join(b"info %d\n" % n for n in range(30_100)))
    async with shown(rig) as screen:
        await screen.sees("info 30099")
        await screen.press("l")
        await typed(screen, "&", "info")
        await screen.press("enter")
        await typed(screen, "/", "info 249")
        for key in ("enter", "n", "n"):
            screen.app.post_message(events.Key(key, None))
        await screen.until(lambda: "/info 249 2 of 111 · &info" in state(screen), "the second, from the last on")
        assert not screen.app.flash.current
        await typed(screen, "/", "9x")
        await screen.press("enter", "n")
        await screen.sees("Nothing in the log matches.")


async def test_filter_applies_to_what_is_there_and_to_what_comes(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await typed(screen, "&", "ERROR|warn")
        await screen.press("enter")
        await screen.until(lambda: "ERROR 5 " in log(screen) and "info" not in log(screen))
        assert state(screen) == "following · &ERROR|warn"
        container = next(iter(talking.engine.containers.values()))
        container.say(b"info 100\nwarn 101\n")
        await screen.sees("warn 101")
        assert "info 100" not in log(screen)
        await screen.press("&")
        screen.main.query_one(LogPrompt).value = "!ERROR|info"
        await screen.press("enter")
        await screen.until(lambda: log(screen) == "warn 101")
        await screen.press("escape")
        await screen.sees("ERROR 95")
        assert state(screen) == "following"


async def test_esc_while_a_pattern_is_typed_brings_back_the_one_before(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await typed(screen, "&", "5")
        await screen.until(lambda: state(screen) == "following · &5")
        await screen.press("escape")
        await screen.until(lambda: state(screen) == "following")
        assert "info 99" in log(screen)
        assert not screen.main.query_one(LogPrompt).is_open
        await typed(screen, "&", "ERROR")
        await screen.press("enter")
        await typed(screen, "/", "5")
        await screen.press("enter")
        await screen.until(lambda: state(screen) == "paused · /5 10 of 10 · &ERROR")
        for key in "&/":
            await typed(screen, key, " 1(")
            await screen.sees("invalid pattern")
            await screen.press("escape")
            await screen.until(lambda: "/5 " in state(screen) and state(screen).endswith("10 · &ERROR"))
            assert "ERROR 95" in log(screen)


async def test_a_pattern_that_is_none_is_told_where_it_is_typed(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await typed(screen, "&", "!(info")
        await screen.sees("invalid pattern: missing ), unterminated subpattern at 2")
        await screen.press("enter")
        assert screen.main.query_one(LogPrompt).is_open
        assert "ERROR 95" in screen.text  # what was shown stays
        await screen.press(")", "enter")
        await screen.until(lambda: "info" not in log(screen))
        assert not screen.main.query_one(LogPrompt).is_open
        assert screen.focused == "detail"


async def test_a_pattern_that_never_ends_is_given_up_and_the_screen_goes_on(rig: Rig) -> None:
    output = b"".join(b"%d %s!\n" % (n, b"a" * 2_000) for n in range(2_000)) + b"the end\n"
    a_session(rig, a_project(rig, "alpha"), "main", output=output)
    async with shown(rig) as screen:
        await screen.sees("the end")
        await screen.press("l")
        for key in "/&":
            await screen.press(key)
            screen.main.query_one(LogPrompt).value = "(a+)+$"
            await screen.press("enter")
            await screen.until(lambda: "pattern too slow, search stopped" in state(screen), "that it is told")
            await screen.press("escape")
            await screen.until(lambda: state(screen) in ("following", "paused"))
        await screen.sees("the end")


async def test_wrap_times_follow_mark_full_screen_and_clear(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await screen.press("w")
        await screen.until(lambda: state(screen) == "following · wrap")
        rows = [line for line in screen.lines if "xxx" in line]
        assert any("info" not in row for row in rows)
        assert rows[-1].strip("│ ").startswith("x")  # the last row is the end of the last line
        await screen.press("t")
        await screen.until(lambda: ":00.000 info" in screen.text)
        assert state(screen) == "following · wrap · time"
        await screen.press("w", "t", "s")
        await screen.until(lambda: state(screen) == "paused")
        await screen.press("m")
        await screen.sees("+1 new")
        await screen.press("s")
        await screen.sees("────────────")
        assert state(screen) == "following"
        await screen.press("f")
        await screen.until(lambda: "Sessions" not in screen.text)
        await screen.press("f")
        await screen.sees("Sessions")
        await screen.press("C")
        await screen.sees("No output yet.")


async def test_since_opens_the_log_anew(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await screen.press("3")
        await screen.until(lambda: "since 15m" in state(screen))
        await screen.until(lambda: "info 99" not in log(screen))  # written in 2026-11, long before
        await screen.press("0")
        await screen.sees("info 99")
        assert state(screen) == "following"


async def test_save_writes_what_is_shown_and_replaces_nothing(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await typed(screen, "&", "ERROR")
        await screen.press("enter")
        await screen.until(lambda: "info" not in log(screen))
        directory = talking.root / "logs"
        await screen.press("ctrl+s")
        await screen.until(lambda: len(list(directory.glob("*"))) == 1 and "saving" not in state(screen))
        await screen.press("ctrl+s")
        await screen.until(lambda: len(list(directory.glob("*"))) == 2)
        await screen.sees("Saved 10 lines to")
        for path in directory.iterdir():
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.read_text() == "".join(f"ERROR {n} {'x' * 150}\n" for n in range(5, 100, 10))


async def test_a_log_that_cannot_be_saved_is_told(talking: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str, _pieces: object) -> Path:
        raise FileSystemError("The disk is full", "no room", "Free some space.")

    async with shown(talking) as screen:
        await in_log(screen)
        monkeypatch.setattr(screen.main.relay.files, "save_log", refuse)
        await screen.press("ctrl+s")
        await screen.sees("Free some space.")


async def test_copy_goes_through_the_terminal(talking: Rig) -> None:
    async with shown(talking) as screen:
        await in_log(screen)
        await screen.press("y")
        await screen.sees("Copied")
        lines = screen.app.clipboard.split("\n")
        assert lines[-1] == "info 99 " + "x" * 150
        assert len(lines) == screen.main.detail.log_view.size.height


async def test_what_is_too_much_for_a_clipboard_is_told(rig: Rig) -> None:
    a_session(rig, a_project(rig, "alpha"), "main", output=b"first\n" + b"x" * (CLIPBOARD_LIMIT - 6) + b"\n")
    async with shown(rig) as screen:
        await screen.sees("first")
        await screen.press("l", "y")
        await screen.sees("Copied 2 lines.")
        assert "refuse" not in screen.text
        container = next(iter(rig.engine.containers.values()))
        container.say("ü\n".encode())
        await screen.sees("ü")
        await screen.press("y")
        await screen.sees(
            "Copied 3 lines. The terminal may not accept this much text."
            " Press ctrl+s to save the log to a file instead."
        )
        assert len(screen.app.clipboard.encode()) > CLIPBOARD_LIMIT


async def test_a_long_log_shows_its_end_and_loads_backwards(rig: Rig) -> None:
    a_session(rig, a_project(rig, "alpha"), "main", output=b"".join(b"line %d\n" % n for n in range(30_000)))
    async with shown(rig) as screen:
        await screen.sees("line 29999")
        assert len(screen.main.detail.log_view.buffer) == TAIL
        await screen.press("l", "g")
        await screen.until(lambda: "│ line 0 " in screen.text, "the first line")
        view = screen.main.detail.log_view
        assert [line.raw for _, line in view.buffer.lines(view.buffer.first, view.buffer.end)] == [
            f"line {n}" for n in range(30_000)
        ]
        await screen.until(lambda: state(screen) == "paused")


def test_plain_text_joins_what_was_too_long_and_is_of_one_moment() -> None:
    buffer = LogBuffer()
    buffer.append(batch(b"\x1b[31mred\x1b[0m\x1b]0;x\x07\n10%\r90%", at=1))
    buffer.append(batch(b"err", STDERR, at=3))
    lines = plain_lines(buffer, None, times=True)
    buffer.append(batch(b"later"))
    assert "".join(lines).split("\n") == [
        "2026-11-20T00:00:00.001000000Z red",
        "2026-11-20T00:00:00.002000000Z 90%",
        "2026-11-20T00:00:00.003000000Z err",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ("error", "an ERROR", "eror"),
        ("Error", "an Error", "an ERROR"),
        ("!debug", "an error", "DEBUG x"),
        (r"^\d+ items$", "10 %\r12 items", "a 12 items"),
        (r"\Sred", "\x1b[1mto\x1b[31mred", "\x1b[31mred"),
    ],
)
def test_patterns_see_what_is_drawn(text: str, accepted: str, refused: str) -> None:
    wanted = compile_pattern(text, invertible=True)
    assert wanted is not None
    assert wanted.accepts(accepted)
    assert not wanted.accepts(refused)
    assert compile_pattern("!", invertible=True) is None


@pytest.mark.parametrize(("text", "hostile"), [("(a+)+$", "a" * 5_000 + "!"), ("!(x+x+)+y", "x" * 5_000)])
def test_a_pattern_has_a_moment_for_a_line_and_is_given_up_when_it_needs_more(text: str, hostile: str) -> None:
    slow = compile_pattern(text, invertible=True)
    assert slow is not None
    tries = 0
    while not slow.given_up:
        assert not slow.accepts(hostile)
        tries += 1
    assert 1 < tries < 10
    assert not slow.accepts("aaa")
    assert slow.spans("aaa", 10) == []
    assert slow == compile_pattern(text, invertible=True)


def test_matches_keep_up_with_what_comes_goes_and_is_put_before() -> None:
    buffer = LogBuffer(max_lines=5_000)
    wanted = compile_pattern("7$")
    assert wanted is not None
    buffer.append(batch(b"\n".join(b"%d" % n for n in range(2_000, 4_000))))
    matches = MatchIndex(buffer, wanted)
    while not matches.advance(0):
        assert len(matches) <= 200
    buffer.prepend([batch(b"\n".join(b"%d" % n for n in range(1_000, 2_000)))])
    buffer.append(batch(b"\n".join(b"%d" % n for n in range(4_000, 7_000))))
    while not matches.advance(0):
        pass
    assert matches.complete
    found = [buffer.line(matches.at(i)).raw for i in range(len(matches))]
    assert found == [str(n) for n in range(2_000, 7_000) if n % 10 == 7]
    assert matches.place(matches.at(3)) == 4
    assert matches.place(matches.at(3) + 1) == 0
