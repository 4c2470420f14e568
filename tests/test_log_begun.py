"""The line that has no newline yet: a prompt, or a progress bar that rewrites itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from dictation import Dictated, Dictation
from fakes import build
from log_batches import batch, kept, moment, texts, told
from on_screen import a_project, a_session, shown
from test_log_view import LogApp, rows, say, settled
from waiting import wait_until

from relay_tui.adapters.process.log_lines import ProcessLineReader
from relay_tui.adapters.process.supervisor import journal
from relay_tui.adapters.process.supervisor.journal import Entry
from relay_tui.adapters.runtime_common.log_lines import TerminalLines
from relay_tui.domain.errors import EngineUnreachableError
from relay_tui.domain.log_batch import CONTINUED, EMPTY_BATCH, STDERR, STDOUT, TIMELESS, LogBatch
from relay_tui.services.logs import feed as log_feed
from relay_tui.services.logs.feed import LogFeed
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.line_text import plain_lines
from relay_tui.ui.log.model.pattern import compile_pattern
from relay_tui.ui.log.view import LogView

START = 1_795_000_000_000_000_000
OUT, ERR = journal.STDOUT, journal.STDERR


def test_a_process_s_begun_lines_are_told_a_stream_each_and_once_more_when_whole() -> None:
    lines = ProcessLineReader(tty=False)
    said = texts([lines.feed(iter([Entry(OUT, START, b"one\n> "), Entry(ERR, START + 5, b"10%\r20%")]))])
    assert said == ["one"]
    assert [(text, flags) for text, _, flags in told([lines.partial_lines()])] == [("> ", STDOUT), ("10%\r20%", STDERR)]
    said = texts([lines.feed(iter([Entry(OUT, START + 9, b"ls\n"), Entry(ERR, START + 10, b"\r30%")]))])
    assert said == ["> ls"]
    assert texts([lines.partial_lines()]) == ["10%\r20%\r30%"]
    begun = told([lines.partial_lines()])[0][1]
    assert [(text, time) for text, time, _ in told([lines.finish()])] == [("10%\r20%\r30%", begun)]
    assert not lines.partial_lines()


def test_a_line_has_the_time_of_its_end_and_a_long_one_that_of_its_first_part() -> None:
    lines = ProcessLineReader(tty=False)
    said = told(
        [lines.feed(iter([Entry(OUT, START, b"a "), Entry(ERR, START + 5, b"b\n"), Entry(OUT, START + 9, b"c\n")]))]
    )
    assert [(text, int(time[20:29])) for text, time, _ in said] == [("b", 5), ("a c", 9)]
    long = [Entry(OUT, START + 20, b"x"), Entry(OUT, START + 30, b"x" * 20_000), Entry(OUT, START + 40, b"x\n")]
    assert {int(time[20:29]) for _, time, _ in told([lines.feed(iter(long))])} == {30}
    later = told([lines.feed(iter([Entry(OUT, START + 50, b"short\n")]))])
    assert [(text, int(time[20:29])) for text, time, _ in later] == [("short", 50)]


@pytest.mark.parametrize("tail", [1, 2, 30])
def test_a_line_is_read_whole_however_long_ago_it_began(tmp_path: Path, tail: int) -> None:
    """By its number from the end, and by its time; in the segment before, and while the other stream went on."""
    writer = journal.Writer(tmp_path / "log", segment=300, kept=100)
    for stream, data in [
        (OUT, b"first\nstep "),
        *[(ERR, b"%d\n" % n) for n in range(20)],
        (OUT, b"1 "),
        (OUT, b"ok\n"),
    ]:
        writer.write(stream, data)
    by_number = list(journal.Reader(tmp_path / "log", tail=tail).entries())
    assert texts([ProcessLineReader(tty=False).feed(iter(by_number))])[-1] == "step 1 ok"
    since = by_number[-1].time
    by_time = journal.Reader(tmp_path / "log", since=since).entries()
    assert texts([ProcessLineReader(tty=False, since=since).feed(by_time)]) == ["step 1 ok"]


def test_what_a_run_left_without_an_end_is_not_carried_on_by_the_next(tmp_path: Path) -> None:
    for data in (b"one\n> ", b"two\n"):
        journal.Writer(tmp_path / "log").write(OUT, data)
    for tail in (None, 2):
        lines = ProcessLineReader(tty=False).feed(journal.Reader(tmp_path / "log", tail=tail).entries())
        assert texts([lines])[-2:] == ["> ", "two"]


def test_what_is_begun_outside_of_the_time_asked_for_is_not_told() -> None:
    lines = ProcessLineReader(tty=False, until=START)
    lines.feed(iter([Entry(OUT, START + 1, b"> ")]))
    assert not lines.partial_lines()


def test_the_rest_of_a_very_long_line_carries_it_on() -> None:
    lines = ProcessLineReader(tty=False)
    first = told([lines.feed(iter([Entry(OUT, START, b"x" * 20_000)]))])
    (rest,) = told([lines.partial_lines()])
    assert rest[2] == STDOUT | CONTINUED | TIMELESS
    assert "".join(text for text, _, _ in first) + rest[0] == "x" * 20_000


def test_a_terminal_s_begun_line_is_told_where_the_engine_sends_it() -> None:
    lines = TerminalLines()
    assert texts([lines.feed(moment(1) + b" one\r\n" + moment(2) + b" > ")]) == ["one"]
    assert texts([lines.partial_lines()]) == ["> "]
    assert texts([lines.feed(b"ls\r\n" + moment(3)[:9])]) == ["> ls"]
    assert not lines.partial_lines()  # not even its time is whole


def test_what_is_begun_comes_with_the_drain_and_a_break_neither_doubles_nor_loses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_feed, "BACKOFF", (0.01,))
    first, second = Dictated(), Dictated()
    woken: list[int] = []
    dictation = Dictation(first)
    feed = LogFeed(dictation, "c" * 64, lambda: woken.append(1), tail=10)
    seen: list[LogBatch] = []

    def drained(words: str) -> bool:
        seen.extend(feed.drain())
        return texts([feed.begun]) == ([words] if words else [])

    try:
        first.say(batch(b"one"), EMPTY_BATCH)
        first.say(EMPTY_BATCH, batch(b"> ", at=1))
        wait_until(lambda: drained("> "), 5, what="what is begun")
        woken.clear()
        first.say(EMPTY_BATCH, batch(b"> l", at=1))
        wait_until(lambda: woken, 5, what="to be woken for no more than that")
        first.end(EngineUnreachableError("The engine does not answer"))
        wait_until(lambda: feed.status.word == "reconnecting", 5)
        assert drained("> l")
        second.say(batch(b"one\n> ls", at=0), EMPTY_BATCH)
        dictation.ready.append(second)
        wait_until(lambda: drained(""), 5, what="the whole line in its place")
        assert texts(seen) == ["one", "> ls"]
    finally:
        feed.close()


async def test_it_stands_below_the_last_line_and_gives_way_to_what_it_becomes() -> None:
    view = LogView(placeholder="nothing")
    async with LogApp(view).run_test(size=(40, 5)) as pilot:
        view.set_partial(batch(b"$ "))
        await settled(pilot)
        assert [row for row in rows(view) if row] == [" $"]
        say(view, b"$ ls\n" + b"\n".join(b"file %d" % n for n in range(8)) + b"\n")
        view.set_partial(batch(b"10%\r20%", STDERR))
        await settled(pilot)
        assert rows(view) == [" file 4", " file 5", " file 6", " file 7", "▎20%"]
        assert view.visible_text().split("\n")[-1] == "20%"
        await pilot.press("k", "k")
        assert rows(view) == [" file 2", " file 3", " file 4", " file 5", " file 6"]
        await pilot.press("G")
        view.set_partial(batch(b"y" * 90))
        view.set_wrap(True)
        assert rows(view)[-4:] == [" file 7", " " + "y" * 37, " " + "y" * 37, " " + "y" * 16]
        view.set_partial(batch(b"y" * 900))
        assert rows(view)[0] == " file 7"
        say(view, b"whole\n")
        assert rows(view)[-1] == " whole"
        view.set_filter(compile_pattern("file"))
        view.set_partial(batch(b"nothing that was asked for"))
        assert rows(view)[-1] == " file 7"
        assert kept(view.buffer)[-2:] == ["file 7", "whole"]


def test_it_is_saved_as_the_last_line_and_is_no_line_of_the_buffer() -> None:
    buffer = LogBuffer()
    buffer.append(batch(b"one\n"))
    buffer.set_partial(batch(b"> "))
    assert "".join(plain_lines(buffer, None, times=False)) == "one\n> \n"
    assert "".join(plain_lines(buffer, compile_pattern("one"), times=False)) == "one\n"
    assert len(buffer) == 1
    buffer.clear()
    assert "".join(plain_lines(buffer, None, times=False)) == ""


async def test_a_prompt_is_shown_after_a_quiet_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(tmp_path / "data")
    a_session(rig, a_project(rig, "alpha"), "main")
    stream = Dictated()
    monkeypatch.setattr(rig.engine, "log_lines", lambda *_, **__: stream)
    stream.say(batch(b"Python 3"), batch(b">>> ", at=1))
    async with shown(rig) as screen:
        await screen.sees("Python 3")
        await screen.sees(">>>")
        stream.say(batch(b">>> 1+1\n2", at=1), batch(b">>> exit", at=2))
        await screen.sees(">>> 1+1")
        await screen.sees(">>> exit")
        assert screen.text.count(">>>") == 2
        assert kept(screen.main.detail.log_view.buffer) == ["Python 3", ">>> 1+1", "2"]
