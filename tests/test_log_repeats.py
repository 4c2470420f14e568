"""Lines that the engine repeats while it rotates a log: shown once, and no written line is left out."""

from __future__ import annotations

import random

from log_batches import batch, moment, texts

from relay_tui.domain.log_batch import CONTINUED, NOTICE, STDERR, STDOUT, TIMELESS, LogBatch, pack_times
from relay_tui.services.logs.rotation import RotationDuplicateFilter

Told = tuple[int, int, str]


def sifted(told: list[Told], step: int) -> list[str]:
    """Return the lines that remain of batches of lines with their times and flags."""
    repeats, kept = RotationDuplicateFilter(1 << 20), list[LogBatch]()
    for at in range(0, len(told), step):
        lines = [
            (b"" if flags & TIMELESS else moment(when) + b" ") + text.encode()
            for when, flags, text in told[at : at + step]
        ]
        kept.append(repeats.drop_duplicates(pack_times(lines, bytes(flags for _, flags, _ in told[at : at + step]))))
    return texts(kept)


def test_what_is_read_once_more_is_left_out() -> None:
    """As the engine does it: the last lines again, up to the last one, then what is new. By both streams."""
    chance = random.Random(7)
    for _ in range(30):
        lines: list[Told] = [(n, chance.choice([STDOUT, STDERR]), f"line {n}") for n in range(400)]
        told = lines[:150] + lines[chance.randrange(90, 140) : 150] + lines[150:300] + lines[200:300] + lines[300:]
        ends = (149, 299)  # one that was not followed by another of its stream is not sure to be another
        left = [text for text in sifted(told, chance.choice([1, 7, 60, 1000])) if int(text[5:]) not in ends]
        assert left == [text for n, _, text in lines if n not in ends]


def test_a_whole_file_that_is_read_once_more_is_left_out_as_far_as_there_is_room() -> None:
    lines: list[Told] = [(n, STDOUT, f"line {n}") for n in range(20_000)]
    assert sifted(lines[:15_000] + lines[3_000:], 900) == [text for _, _, text in lines]
    few = RotationDuplicateFilter(10_000)
    for at in range(0, 20_000, 900):
        few.drop_duplicates(batch(b"\n".join(b"line %d" % n for n in range(at, at + 900)), at=at))
    assert sum(len(one.data) for one in few._recent) <= 10_000


def test_a_long_line_is_left_out_with_its_pieces() -> None:
    long: list[Told] = [(2, STDOUT, "long"), (2, STDOUT | CONTINUED, "er"), (2, STDOUT | CONTINUED | TIMELESS, "!")]
    told: list[Told] = [(1, STDOUT, "a"), *long, (3, STDOUT, "b"), *long, (3, STDOUT, "b"), (4, STDOUT, "c"), *long[1:]]
    for step in (1, 3, 20):
        assert sifted(told, step) == ["a", "long", "er", "!", "b", "c", "er", "!"]


def test_lines_that_could_be_others_stay() -> None:
    """Alike and of one moment, of a clock that was set back, of another stream, without a time, or relay's own."""
    for told in (
        [(1, STDOUT, "x"), (1, STDOUT, "x"), (1, STDOUT, "x")],
        [(5, STDOUT, "x"), (9, STDOUT, "y"), (4, STDOUT, "x"), (5, STDOUT, "z"), (6, STDOUT, "x")],
        [(5, STDOUT, "x"), (9, STDERR, "y"), (5, STDERR, "x"), (4, STDERR, "y")],
        [(5, STDOUT, "x"), (0, STDOUT | TIMELESS, "x"), (6, STDOUT, "y"), (0, NOTICE | TIMELESS, "x")],
    ):
        assert sifted(told, 10) == sifted(told, 1) == [text for _, _, text in told]
    other = pack_times([b"2026-11-20T00:00:02.5+01:00 x", b"2026-11-20T00:00:01.5+01:00 x"], bytes(2))
    repeats = RotationDuplicateFilter(1 << 20)
    assert repeats.drop_duplicates(other) is repeats.drop_duplicates(other) is other
    steady = batch(b"one\ntwo")
    assert RotationDuplicateFilter(1 << 20).drop_duplicates(steady) is steady
