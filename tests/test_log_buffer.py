"""The bounded model of a log."""

from __future__ import annotations

import pytest
from log_batches import batch, kept, moment, parts

from relay_tui.domain.log_batch import NOTICE, STDERR, STDOUT
from relay_tui.ui.log.model.buffer import LogBuffer, LogLine


def numbered(first: int, end: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, end))


def test_lines_keep_their_stream_their_time_and_whether_they_carry_on() -> None:
    buffer = LogBuffer()
    buffer.append(batch(b"out\n\nd\xc3\xa9j\xc3\xa0 \xff", at=7))
    buffer.append(batch(b"err", STDERR))
    buffer.append(parts(b"long", b"er"))
    assert kept(buffer) == ["out", "", "déjà \ufffd", "err", "long", "er"]
    assert buffer.line(2) == LogLine("déjà \ufffd", STDOUT, time=moment(9))
    assert buffer.line(3).stream == STDERR
    assert [buffer.line(number).continued for number in (4, 5)] == [False, True]


def test_a_notice_is_made_safe() -> None:
    buffer = LogBuffer()
    buffer.append_notice("cannot start: \x1b[2Jfoo\nbar")
    assert kept(buffer) == ["cannot start: foo", "bar"]
    assert buffer.line(1) == LogLine("bar", NOTICE)


@pytest.mark.parametrize("step", [1, 7, 150])
def test_old_lines_go_and_numbers_stay(step: int) -> None:
    buffer = LogBuffer(max_lines=100)
    for number in range(0, 1050, step):
        buffer.append(batch(numbered(number, number + step)))
        assert len(buffer) <= 100
        assert buffer.line(number + step - 1).raw == f"line {number + step - 1}"
        assert buffer.first == buffer.dropped
    assert len(buffer) == 100
    assert kept(buffer) == [f"line {number}" for number in range(buffer.first, buffer.end)]
    for number in (buffer.first - 1, buffer.end):
        with pytest.raises(IndexError):
            buffer.line(number)


def test_memory_is_bounded_whatever_the_lines() -> None:
    buffer = LogBuffer(max_bytes=1_000_000)
    for _ in range(300):
        buffer.append(batch(b"\xf0\x9f\x91\xa9" * 5_000))
        buffer.append(batch(b"\n" * 100))
        assert buffer.size <= 1_000_000
    assert buffer.size > 900_000
    assert buffer.room < 500


def test_single_lines_weigh_little_more_than_many_at_once() -> None:
    single, many = LogBuffer(), LogBuffer()
    for number in range(5_000):
        single.append(batch(b"line %d" % number))
    many.append(batch(numbered(0, 5_000)))
    assert kept(single) == kept(many)
    assert single.size < many.size * 1.1


def test_older_lines_go_before_the_first_as_far_as_there_is_room() -> None:
    buffer = LogBuffer(max_lines=100)
    buffer.append(batch(numbered(50, 100)))
    assert buffer.prepend([batch(numbered(10, 30)), batch(numbered(30, 50))]) == 40
    assert (buffer.first, buffer.line(0).raw) == (-40, "line 50")
    assert buffer.prepend([batch(numbered(-20, -5)), batch(numbered(-5, 10))]) == 10
    assert kept(buffer) == [f"line {number}" for number in range(100)]
    buffer.append(batch(numbered(100, 103)))
    assert kept(buffer) == [f"line {number}" for number in range(3, 103)]
    assert buffer.prepend([batch(b"never")]) == 0


def test_lines_of_a_range_come_with_their_numbers() -> None:
    buffer = LogBuffer(max_lines=60)
    for first in range(0, 100, 9):
        buffer.append(batch(numbered(first, first + 9) + b"x" * 40_000))
    found = list(buffer.lines(buffer.first + 3, buffer.end - 2))
    assert [number for number, _ in found] == list(range(buffer.first + 3, buffer.end - 2))
    assert all(line == buffer.line(number) for number, line in found)


def test_clear_forgets_lines_but_numbers_go_on() -> None:
    buffer = LogBuffer(max_lines=10)
    buffer.append(batch(b"x\n" * 30))
    end = buffer.end
    buffer.clear()
    assert (len(buffer), buffer.first, buffer.end, buffer.dropped, buffer.size) == (0, end, end, 0, 0)
    buffer.append(batch(b"new"))
    assert buffer.line(end).raw == "new"
