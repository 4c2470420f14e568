"""The log on the screen, driven by key presses."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from log_batches import batch, parts
from rich.cells import cell_len
from rich.color import Color
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.pilot import Pilot

from relay_tui.domain.log_batch import NOTICE, STDERR, STDOUT
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pattern import compile_pattern
from relay_tui.ui.log.view import LogView


class LogApp(App[None]):
    """App with one log view and the messages that it sent."""

    def __init__(self, view: LogView) -> None:
        super().__init__()
        self.view = view
        self.said: list[bool] = []
        self.nothing_found = 0

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()

    def on_log_view_state_changed(self, message: LogView.StateChanged) -> None:
        assert message.control is self.view
        if self.said[-1:] != [message.state.following] and (self.said or not message.state.following):
            self.said.append(message.state.following)

    def on_log_view_nothing_found(self) -> None:
        self.nothing_found += 1


async def until(pilot: Pilot[None], met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 8
    while not met():
        assert time.monotonic() < deadline
        await pilot.pause(0.01)


def rows(view: LogView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def numbered(first: int, end: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, end))


def say(view: LogView, data: bytes, stream: int = STDOUT) -> None:
    view.extend([batch(data, stream)])


def wheel(turned: type[MouseScrollUp | MouseScrollDown], view: LogView) -> MouseScrollUp | MouseScrollDown:
    return turned(view, 5, 5, 0, 0, 0, shift=False, meta=False, ctrl=False)


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.pause()


async def test_follows_the_end_as_lines_arrive() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        for first in range(0, 1000, 50):
            say(view, numbered(first, first + 50))
            await pilot.pause()
            assert rows(view)[-1] == f" line {first + 49}"
        assert view.following
        assert len(rows(view)) == 24


async def test_shows_what_was_written_before_it_was_mounted() -> None:
    buffer = LogBuffer()
    buffer.append(batch(numbered(0, 100)))
    view = LogView(buffer=buffer)
    say(view, b"and this\n")
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert rows(view)[-1] == " and this"


async def test_a_reader_stays_put_while_lines_arrive_and_old_ones_are_trimmed() -> None:
    view = LogView(buffer=LogBuffer(max_lines=500))
    app = LogApp(view)
    async with app.run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 500))
        await settled(pilot)
        await pilot.press("pageup", "pageup", "k", "up")
        await settled(pilot)
        before = rows(view)
        assert not view.following
        assert app.said == [False]
        for first in range(500, 850, 7):
            say(view, numbered(first, first + 7))
            await pilot.pause()
            assert rows(view)[:-1] == before[:-1]
            assert view.new_lines_below == first + 7 - 500
            assert rows(view)[-1].endswith(" new")  # how many, twice a second
            assert rows(view)[-1].startswith(before[-1])
        deadline = time.monotonic() + 8
        while not rows(view)[-1].endswith(" +350 new"):
            assert time.monotonic() < deadline
            await pilot.pause(0.02)
        assert view.buffer.dropped > 0
        await pilot.press("G")
        await settled(pilot)
        assert rows(view)[-1] == " line 849"
        assert view.following
        assert app.said == [False, True]
        say(view, numbered(850, 900))
        assert rows(view)[-1] == " line 899"


async def test_the_scrollbar_stands_at_the_end_from_the_first_burst_on() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 50))
        await settled(pilot)
        assert view.max_scroll_y > 0
        assert view.vertical_scrollbar.position == view.max_scroll_y


async def test_marks_at_the_right_stand_beside_the_scrollbar() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(40, 10)) as pilot:
        say(view, b"x" * 100 + b"\n" + numbered(0, 50) + b"y" * 100)
        await settled(pilot)
        await pilot.press("g")
        say(view, b"z\n")
        await settled(pilot)
        assert view.scrollable_size.width < view.size.width
        assert view.render_line(0).cell_length == view.scrollable_size.width
        assert rows(view)[0].endswith("x…")
        assert "+1&#160;new" in view.app.export_screenshot()


async def test_hidden_it_takes_lines_and_shown_again_it_is_where_it_was() -> None:
    view = LogView(buffer=LogBuffer(max_lines=500))
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 100))
        for following in (True, False):
            await settled(pilot)
            if not following:
                await pilot.press("k", "k")
            before = rows(view)[0]
            end = view.buffer.end
            view.display = False
            await settled(pilot)
            say(view, numbered(end, end + 450))
            await settled(pilot)
            view.display = True
            await settled(pilot)
            view.focus()
            assert view.following is following
            assert rows(view)[0] == (f" line {end + 450 - 24}" if following else before)


async def test_a_reader_whose_lines_are_trimmed_away_sees_the_oldest() -> None:
    view = LogView(buffer=LogBuffer(max_lines=100))
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 100))
        await settled(pilot)
        await pilot.press("g")
        say(view, numbered(100, 400))
        await settled(pilot)
        assert rows(view)[0] == f" line {view.buffer.first}"
        assert not view.following


async def test_keys_move_by_line_page_and_to_both_ends() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 200))
        await settled(pilot)
        for key, top in [
            ("g", 0), ("j", 1), ("down", 2), ("k", 1), ("pagedown", 24), ("up", 23), ("pageup", 0),
            ("end", 176), ("home", 0), ("G", 176), ("j", 176), ("ctrl+u", 164), ("ctrl+u", 152),
            ("ctrl+d", 164), ("ctrl+d", 176),
        ]:  # fmt: skip
            await pilot.press(key)
            await pilot.pause()
            assert rows(view)[0] == f" line {top}", key
        assert view.following


async def test_coming_back_to_the_end_by_scrolling_follows_again() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 200))
        await settled(pilot)
        await pilot.press("k", "k", "k")
        say(view, numbered(200, 210))
        assert (view.following, view.new_lines_below) == (False, 10)
        await pilot.press("pagedown")
        assert (view.following, view.new_lines_below) == (True, 0)


async def test_the_wheel_scrolls_and_stops_following() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 200))
        await settled(pilot)
        view.post_message(wheel(MouseScrollUp, view))
        await settled(pilot)
        assert not view.following
        assert rows(view)[0] != " line 176"
        view.post_message(wheel(MouseScrollDown, view))
        await settled(pilot)
        assert view.following


async def test_long_lines_are_cut_with_a_mark_and_can_be_scrolled_to() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(40, 10)) as pilot:
        say(view, b"".join(b"%02d " % number for number in range(30)) + b"\nshort\n")
        await settled(pilot)
        assert rows(view)[0] == " 00 01 02 03 04 05 06 07 08 09 10 11 12…"
        await pilot.press("right")
        await pilot.pause()
        assert rows(view)[0].startswith("  03 04")  # eight columns on; the gutter stays
        for _ in range(10):
            await pilot.press("right")
        await pilot.pause()
        assert rows(view)[0].endswith("28 29")
        assert rows(view)[1] == ""
        assert view.scrollable_size == Size(40, 10)  # no row is given away to a scrollbar
        await pilot.press("left")
        await pilot.pause()
        assert rows(view)[0].endswith("…")


async def test_text_like_markup_shows_as_it_is() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, b"[ERROR] [/x] [@click=app.quit]y\n")
        view.notice("ended: [ERROR] [/x] [@click=app.quit]y")
        view.placeholder = "[/x]"
        await settled(pilot)
        assert rows(view)[:2] == [" [ERROR] [/x] [@click=app.quit]y", " ended: [ERROR] [/x] [@click=app.quit]y"]
        await pilot.click(LogView, offset=(28, 0))
        assert view.app.is_running


async def test_nothing_hostile_reaches_the_terminal() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, b"\x1b]52;c;cm0gLXJm\x07clip\n\x1b[2J\x1b[31mred\x1b[0m\x9b2J\nt\x1bP+q\x1b\\u\n\xe2\x80\xaebidi\n")
        say(view, b"oops \x1b]0;title", STDERR)
        await settled(pilot)
        assert rows(view)[:5] == [" clip", " red\ufffd2J", " tu", " \ufffdbidi", "▎oops"]
        for y in range(5):
            for segment in view.render_line(y):
                assert segment.text.isprintable() or "\ufffd" in segment.text
                assert not segment.control


async def test_colours_are_kept() -> None:
    view = LogView()
    app = LogApp(view)
    app.ansi_color = True  # else they are turned into others on the way
    async with app.run_test(size=(80, 24)) as pilot:
        say(view, b"\x1b[31mred\x1b[1;38;5;208mbold\x1b[0;48;2;1;2;3mtrue\x1b[7;4mback\n")
        await settled(pilot)
        styles = {segment.text: segment.style for segment in view.render_line(0) if segment.style}
        assert styles["red"].color == Color.from_ansi(1)
        assert (styles["bold"].color, styles["bold"].bold) == (Color.from_ansi(208), True)
        assert styles["true"].bgcolor == Color.from_rgb(1, 2, 3)
        assert (styles["back"].reverse, styles["back"].underline) == (True, True)


async def test_wide_characters_keep_their_columns() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(20, 5)) as pilot:
        say(view, ("世界" * 10 + "\n").encode())
        await settled(pilot)
        for _ in range(4):
            assert view.render_line(0).cell_length == 20
            assert cell_len(view.render_line(0).text) == 20
            await pilot.press("right")
            await pilot.pause()


async def test_streams_and_relays_own_lines_are_told_apart() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, b"out\n")
        view.extend([parts(b"0123456789" * 3, b"abc")])
        say(view, b"err\n", STDERR)
        view.notice("── ended, exit code 3 ──")
        await settled(pilot)
        assert rows(view)[:5] == [" out", " " + "0123456789" * 3, "…abc", "▎err", " ── ended, exit code 3 ──"]
        assert view.buffer.line(4).stream == NOTICE
        notice = next(segment.style for segment in view.render_line(4) if "ended" in segment.text)
        assert notice and notice.italic


async def test_on_a_poor_terminal_everything_is_ascii() -> None:
    view = LogView(ascii=True, placeholder="idle — e opens a shell")
    async with LogApp(view).run_test(size=(40, 8)) as pilot:
        await settled(pilot)
        assert "".join(rows(view)).isascii()
        say(view, "Û31m 世\n".encode())
        view.extend([parts(b"x" * 100, b"x" * 50)])
        say(view, b"err\n", STDERR)
        view.notice("── ended ──")
        await settled(pilot)
        assert "".join(rows(view)).isascii()
        assert rows(view)[:5] == [" ?31m ?", " " + "x" * 38 + ">", "+" + "x" * 38 + ">", "!err", " -- ended --"]


async def test_the_placeholder_stands_in_the_middle_until_a_line_comes() -> None:
    view = LogView(placeholder="This session idles.\ne opens a shell")
    async with LogApp(view).run_test(size=(40, 10)) as pilot:
        await settled(pilot)
        shown = rows(view)
        assert shown[4] == " " * 10 + "This session idles."
        assert shown[5] == " " * 12 + "e opens a shell"
        assert "".join(shown[:4] + shown[6:]) == ""
        view.placeholder = "Starting"
        await settled(pilot)
        assert "Starting" in "".join(rows(view))
        say(view, b"hello\n")
        await settled(pilot)
        assert [row for row in rows(view) if row] == [" hello"]
        view.clear()
        await settled(pilot)
        assert [row.strip() for row in rows(view) if row] == ["Starting"]


async def test_clear_starts_over_and_follows() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 200))
        await settled(pilot)
        await pilot.press("g")
        view.clear()
        say(view, numbered(0, 60))
        await settled(pilot)
        assert rows(view)[-1] == " line 59"
        assert view.following


@pytest.mark.parametrize("size", [(120, 36), (40, 12), (10, 3), (1, 1)])
async def test_a_new_size_keeps_the_end_in_sight_or_the_readers_place(size: tuple[int, int]) -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 500))
        await settled(pilot)
        await pilot.resize_terminal(*size)
        await settled(pilot)
        assert view.following
        assert view.scroll_offset.y == 500 - size[1]
        await pilot.press("g", "j", "j")
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        assert rows(view)[0] == " line 2"
        assert not view.following


async def test_a_hundred_thousand_lines_are_taken_and_the_last_is_shown() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        data = b"".join(b"\x1b[32m%06d\x1b[0m %s\n" % (number, b"x" * 80) for number in range(100_000))
        for at in range(0, len(data), 65_536):
            say(view, data[at : at + 65_536])
        await settled(pilot)
        assert rows(view)[-1].startswith(" 099999 xxx")
        assert len(view.buffer) == 100_000


async def filtered(pilot: Pilot[None], view: LogView, wanted: str) -> None:
    """Give it a filter, and wait until every line has been looked at."""
    view.set_filter(compile_pattern(wanted))
    await settled(pilot)
    await until(pilot, lambda: not view.state.searching)
    await settled(pilot)


@pytest.mark.parametrize("typed", [("qu", "q", ""), ("line", ""), ("line 21.00$", ""), ("line 9$", "line", "")])
async def test_a_filter_as_it_is_typed_does_not_lose_a_reader_s_place(typed: tuple[str, ...]) -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 40_000))
        view.scroll_to(y=20_900)
        await settled(pilot)
        before = rows(view)
        assert before[0] == " line 20900"
        for wanted in typed:
            await filtered(pilot, view, wanted)
            if wanted == "line":
                assert rows(view) == before
        assert rows(view) == before
        assert not view.following


async def test_a_filter_shows_what_matches_near_the_reader_from_the_first_moment_on() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 90_000))
        view.scroll_to(y=20_905)
        await settled(pilot)
        view.set_filter(compile_pattern("0$"))
        assert view.state.searching
        while view.state.searching:
            assert rows(view)[0] == " line 20910"
            await pilot.pause(0.01)
        assert rows(view)[0] == " line 20910"


async def test_whoever_follows_goes_on_following_through_filters() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 40_000))
        await settled(pilot)
        for wanted in ("qu", "0$", ""):
            await filtered(pilot, view, wanted)
            assert view.following
        assert rows(view)[-1] == " line 39999"


@pytest.mark.parametrize("wanted", ["", "line"])
async def test_steps_to_matches_wait_until_it_is_known_where_they_lead(wanted: str) -> None:
    view = LogView()
    app = LogApp(view)
    async with app.run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 90_000))
        await settled(pilot)
        view.set_filter(compile_pattern(wanted))
        view.set_search(compile_pattern(r"line \d?1234$"))
        view.search()
        view.search(1)
        view.search(1)
        assert view.state.searching
        await until(pilot, lambda: not view.state.searching and view.state.current > 0)
        assert (view.state.current, view.state.found) == (2, 9)
        assert " line 11234" in [row.replace("▶", " ") for row in rows(view)]
        assert app.nothing_found == 0
        view.search(-1)
        view.search(-1)
        await until(pilot, lambda: view.state.current == 9)


async def test_that_nothing_matches_is_told_when_all_was_looked_at() -> None:
    view = LogView()
    app = LogApp(view)
    async with app.run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 40_000))
        view.expect_older(True)
        view.set_search(compile_pattern("older"))
        view.search(1)
        await until(pilot, lambda: view.state.loading and not view.state.searching)
        assert app.nothing_found == 0
        view.prepend([batch(b"an older one\n")], complete=True)
        await until(pilot, lambda: view.state.current == 1)
        view.set_search(compile_pattern("no such"))
        view.search(1)
        await until(pilot, lambda: app.nothing_found == 1)
        assert not view.state.searching


async def test_a_search_keeps_what_the_filter_found() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 90_000))
        await filtered(pilot, view, "7$")
        shown = view.max_scroll_y
        view.set_search(compile_pattern("89997"))
        assert view.max_scroll_y == shown


async def test_what_is_dropped_while_matches_are_looked_for_is_not_drawn() -> None:
    view = LogView(buffer=LogBuffer(max_lines=90_000))
    async with LogApp(view).run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 90_000))
        await settled(pilot)
        view.set_filter(compile_pattern("line"))
        assert view.state.searching
        say(view, numbered(90_000, 180_000))
        rows(view)
        await until(pilot, lambda: rows(view)[-1] == " line 179999")


async def test_rows_are_drawn_once_and_anew_when_the_look_changes() -> None:
    view = LogView()
    app = LogApp(view)
    async with app.run_test(size=(80, 24)) as pilot:
        say(view, numbered(0, 100) + b"\x1b[31mred\x1b[0m\n")
        await settled(pilot)
        before = view.render_lines(view.size.region)
        assert [row.cell_length for row in before] == [view.scrollable_size.width] * 24
        say(view, b"one more\n")
        await settled(pilot)
        after = view.render_lines(view.size.region)
        assert all(one is other for one, other in zip(after, before[1:], strict=False))
        assert after[-1].text.rstrip() == " one more"
        app.theme = "textual-light"
        await settled(pilot)
        light = view.render_lines(view.size.region)
        assert [row.text for row in light] == [row.text for row in after]
        assert {segment.style for row in light for segment in row}.isdisjoint(
            segment.style for row in after for segment in row
        )
        view.set_times(True)
        assert "00:00:00" in view.render_lines(view.size.region)[0].text


async def test_a_log_with_a_border_is_drawn_within_it() -> None:
    view = LogView()
    async with LogApp(view).run_test(size=(40, 6)) as pilot:
        view.styles.border = ("ascii", "red")
        say(view, b"hello\n")
        await settled(pilot)
        shown = [row.text for row in view.render_lines(view.outer_size.region)]
        assert shown[0] == "+" + "-" * 38 + "+"
        assert shown[1] == "| hello" + " " * 32 + "|"


async def test_the_log_before_stays_on_the_screen_until_the_next_has_lines_or_for_a_moment() -> None:
    view = LogView(placeholder="nothing")
    async with LogApp(view).run_test(size=(40, 5)) as pilot:
        say(view, b"before\n")
        await settled(pilot)

        def on_screen() -> str:
            return "".join(row.text.strip() for row in view.render_lines(view.size.region))

        assert on_screen() == "before"
        view.clear(linger=60)
        view.placeholder = "nothing yet"
        await settled(pilot)
        assert on_screen() == "before"
        say(view, b"after\n")
        await settled(pilot)
        assert on_screen() == "after"
        view.clear(linger=0.001)
        deadline = time.monotonic() + 5
        while on_screen() != "nothing yet":
            assert time.monotonic() < deadline
            await pilot.pause(0.01)
