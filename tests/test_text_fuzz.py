"""clean() lets nothing through, whatever it is given, and never raises."""

from __future__ import annotations

import pytest
from fuzz_clean import faults, passed, strings

from relay_tui.text import sanitize
from relay_tui.text.ansi import plain_text


@pytest.mark.parametrize("seed", range(4))
def test_nothing_passes(seed: int) -> None:
    for raw in strings(5_000, seed):
        for limit in (3, 60):
            assert faults(raw, limit) == [], (raw, limit)


@pytest.mark.parametrize("seed", range(2))
def test_nothing_passes_in_blocks_and_logs(seed: int) -> None:
    for raw in strings(3_000, seed):
        shown = sanitize.clean_block(raw, lines=5, width=60)
        assert [c for c in passed(shown) if c != "\n"] == [], raw
        line = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        assert passed(plain_text(line)) == [], raw


def test_the_test_would_see_it() -> None:
    for bad in ("\x1b[31m", "\x9b", "\u202e", "\u200b", "\u2028", "\ud800", "\U000e0041"):
        assert passed(bad) != []
