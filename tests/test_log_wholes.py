"""Lines too long to come whole, with other lines between their pieces: saved, copied, filtered and sought as one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from log_batches import frame, moment

from relay_tui.adapters.runtime_common.log_lines import PART, FramedLines
from relay_tui.domain.log_batch import CONTINUED, NOTICE, STDERR, STDOUT, TIMELESS, LogBatch, pack_times
from relay_tui.services.logs.merge_order import Timeline, with_source
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.line_text import join_continuations, plain_lines
from relay_tui.ui.log.model.matches import MatchIndex
from relay_tui.ui.log.model.pattern import Pattern, compile_pattern

PIECE = STDOUT | CONTINUED


def lines(*told: tuple[bytes, int]) -> LogBatch:
    return pack_times([moment(0) + b" " + text for text, _ in told], bytes(flags for _, flags in told))


def sought(text: str) -> Pattern:
    found = compile_pattern(text, invertible=True)
    assert found is not None
    return found


def saved(buffer: LogBuffer, wanted: str = "") -> list[str]:
    whole = "".join(plain_lines(buffer, sought(wanted) if wanted else None, times=False))
    return whole.split("\n")[:-1]


def matched(matches: MatchIndex, buffer: LogBuffer) -> list[str]:
    while not matches.advance(0):
        pass
    return [buffer.line(matches.at(at)).raw for at in range(len(matches))]


def test_a_line_of_the_engine_with_another_between_its_pieces_is_saved_and_copied_whole() -> None:
    long = b"G 1 " + b"y" * 20_000 + b"tail|END"
    reader = FramedLines()
    sent = [frame(1, long[:PART]), frame(2, b"ERR in between\n", 2), frame(1, long[PART:] + b"\n"), frame(3, b"next\n")]
    buffer = LogBuffer()
    for data in sent:
        buffer.append(reader.feed(data))
    assert saved(buffer) == [long.decode(), "ERR in between", "next"]
    assert join_continuations(buffer, [2, 3], []).split("\n") == [
        long.decode(),
        "next",
    ]  # from the row of its second piece on


def test_pieces_find_their_line_however_they_come() -> None:
    """Pieces come in one batch or many, by both streams, read backwards, of one log or several, with partial lines."""
    chance = random.Random(5)
    for _ in range(60):
        logs = chance.choice([1, 3])
        told, wanted = _made_up(chance, logs)
        cuts = sorted(chance.sample(range(len(told) + 1), 4))
        blocks = [told[a:b] for a, b in zip([0, *cuts], [*cuts, len(told)], strict=True)]
        buffer = LogBuffer()
        for block in blocks[2:4]:
            buffer.append(_batch(block, logs))
        buffer.prepend([_batch(block, logs) for block in blocks[:2] if block])
        buffer.set_partial(_batch(blocks[4], logs))
        assert saved(buffer) == wanted


def _made_up(chance: random.Random, logs: int) -> tuple[list[tuple[int, int, str]], list[str]]:
    """Log, flags and text of each line and piece, and the whole lines in the order of their beginnings."""
    told: list[tuple[int, int, str]] = []
    wholes: list[str] = []
    present: dict[tuple[int, int], int] = {}
    for number in range(40):
        log, stream, text = chance.randrange(logs), chance.choice([STDOUT, STDERR]), f"{number} "
        goes_on = (log, stream) in present and chance.random() < 0.5
        timeless = TIMELESS if goes_on and chance.random() < 0.3 else 0
        told.append((log, stream | (CONTINUED if goes_on else 0) | timeless, text))
        if goes_on:
            wholes[present[log, stream]] += text
        else:
            present[log, stream] = len(wholes)
            wholes.append(f"log{log} {text}" if logs > 1 else text)
    return told, wholes


def _batch(told: Sequence[tuple[int, int, str]], logs: int) -> LogBatch:
    name = [f"log{log} ".encode() if logs > 1 else b"" for log, _, _ in told]
    texts = [
        (b"" if flags & TIMELESS else moment(0) + b" ") + name[at] + text.encode()
        for at, (_, flags, text) in enumerate(told)
    ]
    if logs == 1:
        return pack_times(texts, bytes(flags for _, flags, _ in told))
    return pack_times(texts, bytes(flags for _, flags, _ in told), [log for log, _, _ in told], [*map(len, name)])


def test_what_is_left_of_a_trimmed_line_is_one_line() -> None:
    buffer = LogBuffer(max_lines=4)
    buffer.append(lines((b"1 ", STDOUT), (b"err", STDERR), (b"2 ", PIECE), (b"err 2", STDERR)))
    buffer.append(lines((b"3", PIECE), (b"next", STDOUT)))
    assert saved(buffer) == ["2 3", "err 2", "next"]


@pytest.mark.parametrize(("wanted", "keeps"), [("^28|END", True), ("!END", False), ("28 z+.END$", True), ("^z", False)])
def test_a_filter_keeps_a_whole_line_or_none_of_it(wanted: str, *, keeps: bool) -> None:
    buffer = LogBuffer()
    buffer.append(
        lines((b"28 ", STDOUT), *[(b"z" * 40, PIECE)] * 300, (b"!", STDERR), (b"|END", PIECE), (b"-", STDOUT))
    )
    matches = MatchIndex(buffer, sought(wanted))
    pieces = [raw for raw in matched(matches, buffer) if raw not in ("!", "-")]
    assert len(pieces) == (302 if keeps else 0)
    assert ("28 " + "z" * 12_000 + "|END" in saved(buffer, wanted)) is keeps


def test_a_line_is_judged_again_with_each_piece_that_comes() -> None:
    buffer = LogBuffer()
    buffer.append(lines((b"start", STDOUT), (b"err", STDERR)))
    wanted, unwanted = MatchIndex(buffer, sought("end")), MatchIndex(buffer, sought("!end"))
    spot = MatchIndex(buffer, sought("ab|end"), spots=True)
    assert (matched(wanted, buffer), matched(unwanted, buffer)) == ([], ["start", "err"])
    buffer.append(lines((b"middle a", PIECE)))
    assert (matched(wanted, buffer), matched(unwanted, buffer)) == ([], ["start", "err", "middle a"])
    buffer.append(lines((b"b the end", PIECE), (b"new", STDOUT)))
    assert matched(wanted, buffer) == ["start", "middle a", "b the end"]
    assert matched(unwanted, buffer) == ["err", "new"]
    assert matched(spot, buffer) == ["middle a"]  # where the first of it is found, once


def test_a_line_read_backwards_is_judged_with_what_was_there() -> None:
    buffer = LogBuffer()
    buffer.append(lines((b"middle", PIECE), (b"end", PIECE), (b"next", STDOUT)))
    matches = MatchIndex(buffer, sought("!first"))
    assert matched(matches, buffer) == ["middle", "end", "next"]
    buffer.prepend([lines((b"before", STDOUT), (b"first", STDOUT), (b"err", STDERR))])
    assert matched(matches, buffer) == ["before", "err", "next"]


def test_in_a_joint_log_pieces_stand_behind_their_own_line_or_are_joined_to_it() -> None:
    """While their line waits in the window they go behind it; behind others' lines they have its name, and are its."""
    times = [moment(1), moment(2), moment(1), moment(3)]
    told = [(b"head ", STDOUT), (b"err", STDERR), (b"tail", PIECE), (b"x", STDOUT)]
    batch = pack_times(
        [time + b" " + text for time, (text, _) in zip(times, told, strict=True)], bytes(flags for _, flags in told)
    )
    inorder = sorted(Timeline(7).lines([batch]))
    assert [line.text for line in inorder] == [b"head ", b"tail", b"err", b"x"]
    torn = [inorder[0], *Timeline(8).lines([lines((b"b", STDOUT))]), inorder[1], inorder[2]]
    buffer = LogBuffer()
    for line in torn:
        buffer.append(with_source([line], {7: b"a| ", 8: b"b| "}))
    buffer.append_notice("── ended ──")
    assert buffer.line(2).raw == "a| tail"
    assert saved(buffer) == ["a| head tail", "b| b", "a| err", "── ended ──"]
    assert buffer.line(4).stream == NOTICE
