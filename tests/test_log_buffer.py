"""The bounded model of a log."""

from __future__ import annotations

import random

import pytest

from relay_tui.ui.log_buffer import NOTICE, STDERR, STDOUT, LogBuffer, LogLine


def kept(buffer: LogBuffer) -> list[str]:
    return [buffer.line(number).raw for number in range(buffer.first, buffer.end)]


def test_lines_come_out_whole_however_they_were_cut() -> None:
    said = "plain\n\nüñí 世界 👩\n\x1b[31mred\x1b[0m\r\nlast\n" * 50
    data = said.encode()
    chance = random.Random(4)
    for _ in range(50):
        buffer = LogBuffer()
        at = 0
        while at < len(data):
            step = chance.randint(1, 9)
            buffer.feed(data[at : at + step])
            at += step
        assert [raw.removesuffix("\r") for raw in kept(buffer)] == said.replace("\r\n", "\n").split("\n")[:-1]


def test_an_unfinished_line_is_there_and_is_completed_where_it_stands() -> None:
    buffer = LogBuffer()
    buffer.feed(b"Password")
    assert kept(buffer) == ["Password"]
    assert buffer.settled == 0
    buffer.feed(b"oops\nmore\n", STDERR)
    buffer.feed(b": ok\nnext\n")
    assert kept(buffer) == ["Password: ok", "oops", "more", "next"]
    assert [buffer.line(number).stream for number in range(4)] == [STDOUT, STDERR, STDERR, STDOUT]
    assert buffer.settled == 4


def test_an_empty_line_can_end_an_unfinished_one() -> None:
    buffer = LogBuffer()
    for data in (b"a", b"\n", b"\n", b"b"):
        buffer.feed(data)
    assert kept(buffer) == ["a", "", "b"]


def test_a_notice_ends_what_was_unfinished() -> None:
    buffer = LogBuffer()
    buffer.feed(b"half \xe4\xb8")
    buffer.append_notice("ended, exit code 3\n")
    buffer.feed(b"\x96 new life\n")
    assert kept(buffer) == ["half \ufffd", "ended, exit code 3", "\ufffd new life"]
    assert buffer.line(1) == LogLine("ended, exit code 3", NOTICE)


def test_a_notice_is_made_safe() -> None:
    buffer = LogBuffer()
    buffer.append_notice("cannot start: \x1b[2Jfoo\nbar")
    assert kept(buffer) == ["cannot start: foo", "bar"]


def test_old_lines_go_and_numbers_stay() -> None:
    buffer = LogBuffer(max_lines=100)
    for number in range(1000):
        buffer.feed(b"line %d\n" % number)
        assert len(buffer) <= 100
        assert buffer.line(number).raw == f"line {number}"
        assert buffer.first == buffer.dropped
    assert len(buffer) >= 98
    assert buffer.line(buffer.first).raw == f"line {buffer.first}"
    with pytest.raises(IndexError):
        buffer.line(buffer.first - 1)
    with pytest.raises(IndexError):
        buffer.line(buffer.end)


def test_one_feed_may_hold_more_than_the_buffer() -> None:
    buffer = LogBuffer(max_lines=10)
    buffer.feed(b"".join(b"%d\n" % number for number in range(1000)))
    assert kept(buffer)[-1] == "999"
    assert (len(buffer), buffer.end, buffer.dropped) == (10, 1000, 990)


def test_memory_is_bounded_whatever_the_characters() -> None:
    buffer = LogBuffer(max_bytes=1_000_000)
    for _ in range(300):
        buffer.feed(("👩" * 5_000 + "\n").encode())
        buffer.feed(b"\n" * 100)
        assert buffer.size <= 1_000_000
    assert buffer.size > 900_000
    buffer.feed(b"end")
    assert kept(buffer)[-1] == "end"


def test_a_line_that_was_trimmed_before_its_end_goes_on_as_a_new_one() -> None:
    buffer = LogBuffer(max_lines=10)
    buffer.feed(b"begin ")
    buffer.feed(b"x\n" * 50, STDERR)
    buffer.feed(b"end\n")
    assert kept(buffer)[-1] == "end"
    assert buffer.first > 0


def test_an_over_long_line_becomes_several() -> None:
    whole, dripped = LogBuffer(max_line_length=10), LogBuffer(max_line_length=10)
    whole.feed(b"0123456789abcdefghijXYZ\nnext\n")
    for byte in b"0123456789abcdefghijXYZ\nnext\n":
        dripped.feed(bytes([byte]))
    for buffer in (whole, dripped):
        assert kept(buffer) == ["0123456789", "abcdefghij", "XYZ", "next"]
        assert [buffer.line(number).continued for number in range(4)] == [False, True, True, False]


def test_a_long_line_without_an_end_takes_no_more_than_its_lines() -> None:
    buffer = LogBuffer(max_lines=5, max_line_length=100)
    for _ in range(100):
        buffer.feed(b"x" * 1000)
    assert max(map(len, kept(buffer))) == 100
    assert len(buffer) <= 5


def test_an_endless_progress_line_stays_short() -> None:
    buffer = LogBuffer()
    for percent in range(10_000):
        buffer.feed(b"\r%d items" % percent)
    assert len(buffer) == 1
    assert len(buffer.line(0).raw) < 100
    assert buffer.line(0).raw.endswith("\r9999 items")
    buffer.feed(b"".join(b"%d %%\r" % (number % 100) for number in range(50_000)) + b"done\n", STDERR)
    assert buffer.line(1).raw.endswith("done")
    assert len(buffer) == 2


def test_clear_forgets_lines_and_halves_but_numbers_go_on() -> None:
    buffer = LogBuffer(max_lines=10)
    buffer.feed(b"x\n" * 30 + b"half \xe4")
    end = buffer.end
    buffer.clear()
    assert (len(buffer), buffer.first, buffer.end, buffer.dropped, buffer.size) == (0, end, end, 0, 0)
    buffer.feed(b"new\n")
    assert buffer.line(end).raw == "new"
