"""Strings to try `clean()` with: built of what terminals obey, what breaks decoders, and what looks harmless.

python tests/fuzz_clean.py [COUNT] [SEED]      prints strings tried, raised, escapes passed
"""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Iterator

from relay_tui.text import sanitize

_PIECES: tuple[str | bytes, ...] = (
    *(
        "\x1b[",
        "\x1b]",
        "\x1b]52;c;",
        "\x1bP",
        "\x1bX",
        "\x1b^",
        "\x1b_",
        "\x1b\\",
        "\x1b",
        "\x9b",
        "\x9d",
        "\x90",
        "\x9c",
    ),
    *(
        "\x07",
        "\x18",
        "\x1a",
        "\x00",
        "\x08",
        "\r",
        "\n",
        "\r\n",
        "\t",
        "\x7f",
        "\x85",
        "\xad",
        "m",
        "31;1m",
        "2J",
        "K",
    ),
    *("\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\u2029", "\ufff9", "\U000e0041", "\ud800", "\udc9b"),
    *(
        "e\u0301\u0301\u0301\u0301\u0301",
        "\u1160\u1160\u1160\u1160",
        "\u0e49" * 9,
        "日本",
        "a",
        " ",
        "[/x]",
        "[@click=app.quit]",
    ),
    *(b"\xff", b"\xc2\x9b", b"\xc2", b"\xe2\x80\xae", b"\xf0\x9f", b"\xed\xa0\x80", b"\x1b[31m", b"\xc0\x9b"),
)
_FORBIDDEN = frozenset(range(0x20)) | {0x7F} | frozenset(range(0x80, 0xA0))


def strings(count: int, seed: int) -> Iterator[str | bytes]:
    """`count` strings and byte strings, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.random()
        if kind < 0.2:
            yield bytes(chance.randrange(256) for _ in range(chance.randrange(80)))
        elif kind < 0.4:
            yield "".join(chr(chance.choice((chance.randrange(0x300), chance.randrange(0x110000)))) for _ in range(40))
        else:
            pieces = [chance.choice(_PIECES) for _ in range(chance.randrange(1, 14))]
            if kind < 0.7:
                yield b"".join(p if isinstance(p, bytes) else p.encode("utf-8", "surrogatepass") for p in pieces)
            else:
                yield "".join(p if isinstance(p, str) else p.decode("utf-8", "surrogateescape") for p in pieces)


def passed(shown: str) -> list[str]:
    """Return the characters of a displayed text that a terminal would interpret or that are invisible."""
    found = [c for c in shown if ord(c) in _FORBIDDEN or unicodedata.category(c) in ("Cc", "Cs")]
    found += [
        c
        for c in shown
        if unicodedata.bidirectional(c) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
    ]
    return found + [c for c in shown if unicodedata.category(c) in ("Cf", "Zl", "Zp") and ord(c) not in _HARMLESS]


_HARMLESS = frozenset(
    (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440))
)
"""Format characters that are seen: signs of Arabic, Syriac, Kaithi and Egyptian numbers and texts."""


def faults(raw: str | bytes, limit: int) -> list[str]:
    """Return the errors in the cleaned string, normally none."""
    shown = sanitize.clean(raw, limit=limit)
    wrong = [f"passed {c!r}" for c in passed(shown)]
    wrong += ["too long"] if len(shown) > limit else []
    wrong += ["cleaning twice changes more"] if sanitize.clean(shown, limit=limit) != shown else []
    try:
        shown.encode()
    except UnicodeEncodeError:
        wrong.append("cannot be encoded")
    return wrong


def main() -> None:
    """Print the figures of a long run."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    raised = bad = 0
    for raw in strings(count, seed):
        try:
            wrong = faults(raw, 60)
        except Exception as error:
            raised += 1
            sys.stdout.write(f"raised {error!r} on {raw!r}" + "\n")
            continue
        if wrong:
            bad += 1
            sys.stdout.write(f"{wrong} in {raw!r}" + "\n")
    sys.stdout.write(f"{count} strings tried, {raised} raised, {bad} passed something" + "\n")


if __name__ == "__main__":
    main()
