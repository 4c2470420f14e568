"""Lines found in what the engine sends, and several readings of a log joined."""

from __future__ import annotations

import random

import pytest
from log_batches import batch, frame, moment, texts, told

from relay_tui.adapters.runtime_common.log_lines import PART, FramedLines, TerminalLines, incomplete_suffix
from relay_tui.domain.log_batch import CONTINUED, STDERR, STDOUT, TIMELESS, LogBatch, pack_times
from relay_tui.services.logs.resume import LogCursor, NewLineFilter, before, newest_edge, oldest_edge


def cut(reader: FramedLines | TerminalLines, data: bytes, sizes: range, seed: int = 3) -> list[LogBatch]:
    """Return the batches that a reader makes of data in pieces."""
    chance = random.Random(seed)
    found = []
    at = 0
    while at < len(data):
        step = chance.choice(sizes)
        found.append(reader.feed(data[at : at + step]))
        at += step
    return [*found, reader.finish()]


CUTS = [range(1, 2), range(1, 60), range(5_000, 70_000), range(10**7, 10**7 + 1)]


@pytest.mark.parametrize("sizes", CUTS)
def test_multiplexed_lines_come_out_whole_however_they_were_cut(sizes: range) -> None:
    data = b"".join(
        frame(3 * i, b"out %d \xe4\xb8\x96\n" % i) + frame(3 * i + 1, b"err\n", 2) + frame(3 * i + 2, b"\n")
        for i in range(300)
    )
    expected = [
        line
        for i in range(300)
        for line in (
            (f"out {i} 世", moment(3 * i), STDOUT),
            ("err", moment(3 * i + 1), STDERR),
            ("", moment(3 * i + 2), STDOUT),
        )
    ]
    assert told(cut(FramedLines(), data, sizes)) == expected


@pytest.mark.parametrize("sizes", CUTS[1:])
def test_a_line_of_a_megabyte_becomes_several_and_its_neighbours_stay_whole(sizes: range) -> None:
    long = bytes(65 + i % 26 for i in range(1_000_000))
    pieces = [long[at : at + PART] for at in range(0, len(long), PART)]
    data = b"".join([frame(1, b"before\n"), *(frame(2, piece) for piece in pieces[:-1])])
    data += frame(3, b"between\n", 2) + frame(2, pieces[-1] + b"\n") + frame(4, b"after\n")
    lines = told(cut(FramedLines(), data, sizes))
    out = [(text, flags) for text, _, flags in lines if text not in ("before", "between", "after")]
    assert "".join(text for text, _ in out).encode() == long
    assert [flags for _, flags in out] == [STDOUT, *[STDOUT | CONTINUED] * (len(pieces) - 1)]
    assert [text for text, _, _ in lines if text in ("before", "between", "after")] == ["before", "between", "after"]


@pytest.mark.parametrize("sizes", CUTS)
def test_a_terminals_lines_come_out_whole_and_its_long_ones_without_times_between(sizes: range) -> None:
    long = ("é世" * 12_000).encode()[:40_000]
    data = moment(1) + b" first\r\n"
    data += b"".join(moment(2) + b" " + long[at : at + PART] for at in range(0, len(long), PART)) + b"\r\n"
    data += moment(3) + b" \r\n" + moment(4) + b" no newline"
    lines = told(cut(TerminalLines(), data, sizes))
    assert [(text, time) for text, time, _ in (lines[0], *lines[-2:])] == [
        ("first", moment(1)), ("", moment(3)), ("no newline", moment(4)),
    ]  # fmt: skip
    middle = lines[1:-2]
    assert "".join(text for text, _, _ in middle).rstrip("\r") == long.decode()
    assert all(flags & CONTINUED for _, _, flags in middle[1:])


def test_characters_and_colours_at_the_seam_of_two_parts_stay_whole() -> None:
    reader = FramedLines()
    data = frame(1, b"x" * 20 + b"\xe4\xb8") + frame(1, b"\x96 \x1b[3") + frame(1, b"1mred\n")
    assert texts([reader.feed(data)]) == ["x" * 20, "世 ", "\x1b[31mred"]
    endings = (b"", b"abc", b"\xc3", b"\xf0\x9f\x91", b"\xc3\xa9", b"\x1b", b"a\x1b[3;")
    assert [incomplete_suffix(text) for text in endings] == [0, 0, 1, 3, 0, 1, 4]


def test_what_had_no_newline_is_not_carried_on_by_a_later_life() -> None:
    reader = FramedLines()
    lines = told([reader.feed(frame(1, b"$ ") + frame(50, b"again\n")), reader.finish()])
    assert lines == [("$ ", moment(1), STDOUT), ("again", moment(50), STDOUT)]


@pytest.mark.parametrize("sizes", CUTS[1:])
def test_messages_of_many_lines_or_of_megabytes_are_taken_too(sizes: range) -> None:
    huge = b"0123456789abcde\n" * 200_000
    lines = told(cut(FramedLines(), frame(1, b"a\nb\nc") + frame(1, b"d\n") + frame(2, huge), sizes))
    assert [(text, flags) for text, _, flags in lines[:4]] == [
        ("a", STDOUT), ("b", STDOUT | TIMELESS), ("c", STDOUT | TIMELESS), ("d", STDOUT | CONTINUED),
    ]  # fmt: skip
    assert "".join(text for text, _, _ in lines[4:]) == (huge.replace(b"\n", b"").decode())


# --- readings joined -------------------------------------------------------------------------------------------------


def life(count: int, chance: random.Random) -> list[tuple[bytes, int]]:
    """Lines as an engine keeps them: times of two streams a little out of order, some the same."""
    at = 0
    lines = []
    for number in range(count):
        at += chance.choice((0, 0, 1, 1, 2, 300))
        stream = chance.choice((STDOUT, STDERR))
        lines.append((moment(10 + max(0, at - chance.choice((0, 0, 3)))) + b" line %d" % number, stream))
    return lines


def batches(lines: list[tuple[bytes, int]], size: int) -> list[LogBatch]:
    return [
        pack_times([line for line, _ in part], bytes(stream for _, stream in part))
        for at in range(0, len(lines), size)
        for part in [lines[at : at + size]]
    ]


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_going_on_after_a_break_neither_doubles_nor_misses_a_line(seed: int, *, each: bool) -> None:
    """The engine checks either the time of each line, or of no line after the first that is late enough."""
    chance = random.Random(seed)
    lines = life(6_000, chance)
    broken = chance.randint(1, 5_900)
    edge = newest_edge(batches(lines[:broken], 37))
    assert edge is not None
    late = [line[0][:30] >= edge.time.encode() for line in lines]
    begins = late.index(True)
    again = batches([line for n, line in enumerate(lines) if (late[n] if each else n >= begins)], 53)
    unknown = NewLineFilter(edge)
    fresh = [unknown.sift(one) for one in again]
    assert texts(fresh) == [line[31:].decode() for line, _ in lines[broken:]]


@pytest.mark.parametrize("seed", range(8))
def test_reading_backwards_neither_doubles_nor_misses_a_line(seed: int) -> None:
    chance = random.Random(100 + seed)
    lines = life(6_000, chance)
    begun = chance.randint(1, 5_900)
    edge = oldest_edge(batches(lines[begun:], 41))
    assert edge is not None
    past = next((i for i, line in enumerate(lines) if line[0][:30] > edge.time.encode()), len(lines))
    assert texts(before(edge, batches(lines[:past], 59))) == [line[31:].decode() for line, _ in lines[:begun]]


def test_parts_of_one_line_share_a_time_and_are_told_apart_by_their_number() -> None:
    long = [(moment(5) + b" part %d" % number, STDOUT) for number in range(3_000)]
    edge = newest_edge(batches(long[:2_500], 100))
    assert edge is not None
    unknown = NewLineFilter(edge)
    assert len(texts([unknown.sift(one) for one in batches(long, 70)])) == 500


def test_lines_without_a_time_go_with_the_one_before_them() -> None:
    known = pack_times([moment(1) + b" a", b"b"], bytes([STDOUT, TIMELESS]))
    more = pack_times([moment(1) + b" a", b"b", moment(2) + b" c", b"d"], bytes([STDOUT, TIMELESS, STDOUT, TIMELESS]))
    edge = newest_edge([known])
    assert edge is not None
    assert texts([NewLineFilter(edge).sift(more)]) == ["c", "d"]
    edge = oldest_edge([pack_times([moment(2) + b" c", b"d"], bytes([STDOUT, TIMELESS]))])
    assert edge is not None
    assert texts(before(edge, [more])) == ["a", "b"]


def test_nothing_read_has_no_edge() -> None:
    assert newest_edge([]) is None
    assert oldest_edge([pack_times([b"no time"], bytes([TIMELESS]))]) is None
    whole = batch(b"one\ntwo")
    assert NewLineFilter(LogCursor("2026-11-20T00:00:00Z")).sift(whole) is whole
