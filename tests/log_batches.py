"""Logs as the engine sends them, made for tests."""

from __future__ import annotations

from collections.abc import Sequence

from relay_tui.domain.log_batch import CONTINUED, STDOUT, LogBatch, pack_times
from relay_tui.ui.log.model.buffer import LogBuffer


def moment(number: int) -> bytes:
    """A time, later with each number by a millisecond."""
    return b"2026-11-20T%02d:%02d:%02d.%03d000000Z" % (
        number // 3_600_000,
        number // 60_000 % 60,
        number // 1000 % 60,
        number % 1000,
    )


def batch(text: bytes, stream: int = STDOUT, *, at: int = 0) -> LogBatch:
    """The lines of a text, the first written at a moment, each a millisecond after the one before."""
    lines = text.removesuffix(b"\n").split(b"\n")
    return pack_times([moment(at + i) + b" " + line for i, line in enumerate(lines)], bytes([stream]) * len(lines))


def parts(*texts: bytes, stream: int = STDOUT) -> LogBatch:
    """One line too long to come whole."""
    flags = [stream, *[stream | CONTINUED] * (len(texts) - 1)]
    return pack_times([moment(0) + b" " + text for text in texts], bytes(flags))


def frame(number: int, text: bytes, stream: int = 1) -> bytes:
    """A message of a multiplexed log."""
    message = moment(number) + b" " + text
    return bytes([stream, 0, 0, 0]) + len(message).to_bytes(4, "big") + message


def told(batches: Sequence[LogBatch]) -> list[tuple[str, bytes, int]]:
    """Every line's text, time and flags."""
    return [
        (text.decode(errors="replace"), time, one.flags[index])
        for one in batches
        for index in range(len(one))
        for time, text in [one.parts(index)]
    ]


def texts(batches: Sequence[LogBatch]) -> list[str]:
    """Every line's text."""
    return [text for text, _, _ in told(batches)]


def kept(buffer: LogBuffer) -> list[str]:
    """The lines of a buffer as they came."""
    return [line.raw for _, line in buffer.lines(buffer.first, buffer.end)]
