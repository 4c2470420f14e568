"""Nothing that a repository or a container wrote may steer the terminal."""

from __future__ import annotations

import random
import re
import time
import unicodedata

import pytest

from relay_tui.text.ansi import PLAIN, TRUE_COLOUR, TextStyle, plain_text, styled_runs
from relay_tui.text.sanitize import clean, clean_block, redact, to_ascii

NASTY = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    "\x1b[", "\x1b]", "\x1bP", "\x1b\\", "\x1b[31m", "\x1b[0;38;5;9m", "\x1b[2J", "\x1b[K", "\x1b[1K", "\x1b[7G",
    "\r\n",
    "\u202e", "\u2066", "\u2028", "\u2029", "\u200b", "\u200d", "\ufeff", "\U000e0041", "\ud800", "\udc9b", "\u0301",
    "\u0301\u0302\u0303\u0304", "\u1161", "\xad", "\u034f", "\ufe0f", "世", "é", "👩", "a", "b", "7", ";", "m", "[",
    "]", "https://u:p@h", "%1b", "\\", "/", "@", ":", " ",
]  # fmt: skip
FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def nasty_strings(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(NASTY, k=chance.randint(0, 40))) for _ in range(count)]


def longest_run_of_marks(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff" else 0
        longest = max(longest, run)
    return longest


def test_whatever_comes_one_line_is_safe_and_clean_already() -> None:
    for text in nasty_strings(30_000, seed=1):
        limit = len(text) % 50 + 1
        for cleaned in (clean(text), clean(text, limit=limit)):
            assert not FORBIDDEN.search(cleaned), text
            assert longest_run_of_marks(cleaned) <= 3, text
            cleaned.encode()
        assert len(clean(text, limit=limit)) <= limit
        assert clean(clean(text)) == clean(text)
        assert clean(clean(text, limit=limit), limit=limit) == clean(text, limit=limit)


def test_whatever_comes_a_log_line_is_safe() -> None:
    for text in nasty_strings(20_000, seed=2):
        plain = plain_text(text)
        assert not FORBIDDEN.search(plain), text
        assert longest_run_of_marks(plain) <= 3, text
        assert plain_text(plain) == plain, text


def test_whatever_bytes_come_they_are_safe() -> None:
    chance = random.Random(3)
    for _ in range(10_000):
        data = chance.randbytes(chance.randint(0, 60))
        assert not FORBIDDEN.search(clean(data))
        assert not FORBIDDEN.search(clean_block(data, lines=3, width=20).replace("\n", ""))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("main", "main"),
        ("[ERROR] [/x] [@click=app.quit]y", "[ERROR] [/x] [@click=app.quit]y"),
        ("a\x1b[31mred\x1b[0mb", "aredb"),
        ("a\x9b31mred", "ared"),
        ("a\x1b]52;c;cm0gLXJm\x07b", "ab"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\x9d0;title\x9cb", "ab"),
        ("a\x1bPq#0\x1b\\b\x1b^pm\x1b\\c\x1b_apc\x1b\\d\x1bXsos\x1b\\e", "abcde"),
        ("a\x1b]0;never ends", "a"),
        ("a\x1b]0;never ends\nnext", "a⏎next"),
        ("a\x1b[12;", "a"),
        ("a\x1b", "a\ufffd"),
        ("a\x1bPtmux;\x1b\x1b]52;c;x\x07\x1b\\b", "a\ufffdb"),
        ("a\x1b(Bb\x1bcc", "abc"),
        ("one\ntwo\r\nthree", "one⏎two⏎three"),
        ("a\tb", "a       b"),
        ("bell\x07", "bell\ufffd"),
        ("user\u202egnp.exe", "user\ufffdgnp.exe"),
        ("a\u200bb", "a\ufffdb"),
        ("e\u0301", "e\u0301"),
        ("z" + "\u0335" * 40, "z" + "\u0335" * 3),
        ("\u1112\u1161\u11ab", "\u1112\u1161\u11ab"),
        ("日本", "日本"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        ("\udcff", "\ufffd"),
    ],
)
def test_one_line(raw: str | bytes, shown: str) -> None:
    assert clean(raw) == shown


def test_a_long_text_is_cut_to_the_limit_and_says_so() -> None:
    assert clean("x" * 600) == "x" * 499 + "…"
    assert clean("x" * 500) == "x" * 500
    assert clean(b"x" * 10_000_000, limit=3) == "xx…"
    assert clean("abc", limit=0) == ""


def test_escape_sequences_do_not_use_up_the_limit() -> None:
    assert clean("\x1b[1m\x1b[31mabc", limit=3) == "abc"


def test_a_block_keeps_its_lines_and_counts_the_rest() -> None:
    assert clean_block("a\r\nb\x1b[2J\n\n c\n") == "a\nb\n\n c"
    assert clean_block("\n".join("abcdef"), lines=4) == "a\nb\nc\n… 3 lines more"
    assert clean_block("\n".join("abcd"), lines=4) == "a\nb\nc\nd"
    assert clean_block("x" * 50, width=10) == "x" * 9 + "…"
    assert clean_block(b"") == ""


def test_a_block_shows_what_progress_lines_ended_on() -> None:
    said = "Receiving:  50%\rReceiving: 100%, done.\nfatal: early EOF\n"
    assert clean_block(said) == "Receiving: 100%, done.\nfatal: early EOF"
    assert clean_block("49%\r50%\r\n") == "50%"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("unable to access 'https://u:tok@host/x/': no", "unable to access 'https://***@host/x/': no"),
        ("https://tok@host", "https://***@host"),
        ("http://a:b@c@d/e and ftp://x:y@z", "http://***@d/e and ftp://***@z"),
        ("https://u:pa/ss@host/x", "https://***@host/x"),
        ("https://proxy/https://u:p@host/y", "https://proxy/https://***@host/y"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("ssh://git:pw@host/x", "ssh://***@host/x"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("https://host:8443/a@b http://[::1]:80/x@y", "https://host:8443/a@b http://[::1]:80/x@y"),
        ("https://host/image@sha256:ab", "https://host/image@sha256:ab"),
        ("file:///home/a@b/c", "file:///home/a@b/c"),
    ],
)
def test_userinfo_goes_from_addresses(said: str, shown: str) -> None:
    assert redact(said) == shown
    assert redact(shown) == shown


def test_known_secrets_go_in_every_spelling() -> None:
    secret = "p@ss w/rd%"
    said = "p@ss w/rd% p%40ss%20w%2Frd%25 p%40ss%20w%2frd%25 p%40ss+w/rd%25 p%40ss%20w/rd%25"
    assert redact(said, [secret, ""]) == "*** *** *** *** ***"
    assert redact("tok tokens", ["tok", "tokens"]) == "*** ***"
    assert redact("a b", ["", "%20"]) == "a b"
    assert redact("\ud800", ["\ud800"]) == "***"


def test_log_line_without_anything_special_is_itself() -> None:
    assert styled_runs("hello [ERROR] world") == [("hello [ERROR] world", PLAIN)]
    assert styled_runs("") == []


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("31", TextStyle(foreground=1)),
        ("97;104", TextStyle(foreground=15, background=12)),
        ("1;2;3;4;7;9", TextStyle(None, None, True, True, True, True, True, True)),
        ("38;5;208", TextStyle(foreground=208)),
        ("48;2;1;2;3;1", TextStyle(background=TRUE_COLOUR | 0x010203, bold=True)),
        ("38:2::255:0:16", TextStyle(foreground=TRUE_COLOUR | 0xFF0010)),
        ("38:2:255:0:16", TextStyle(foreground=TRUE_COLOUR | 0xFF0010)),
        ("38:5:9", TextStyle(foreground=9)),
        ("58;5;1;3", TextStyle(italic=True)),
        ("4:3", TextStyle(underline=True)),
        ("1;22;31;39;4;24", PLAIN),
        ("1;", PLAIN),
        ("31;;1", TextStyle(bold=True)),
        ("38;5;999;3", TextStyle(italic=True)),
        ("38;5", PLAIN),
        ("38", PLAIN),
        ("999;8;5", PLAIN),
        (">4;2", PLAIN),
        ("9" * 5000, PLAIN),
    ],
)
def test_log_colours(codes: str, style: TextStyle) -> None:
    assert styled_runs(f"\x1b[{codes}mx") == [("x", style)]


def test_log_styles_end_where_they_are_reset() -> None:
    assert styled_runs("a\x1b[1mb\x1b[mc") == [("a", PLAIN), ("b", TextStyle(bold=True)), ("c", PLAIN)]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("10%\r20%\r100%", "100%"),
        ("downloading\rdone", "doneloading"),
        ("downloading\r\x1b[Kdone", "done"),
        ("downloading\r\x1b[2Kdone", "done       "),
        ("downloading\x1b[1Gdone", "doneloading"),
        ("done\r", "done"),
        ("done\r\n", "done"),
        ("N\bNA\bA", "NA"),
        ("|\b/\b-", "-"),
        ("a\tb", "a       b"),
        ("12345678\tb", "12345678        b"),
        ("abcdefghij\r\tX", "abcdefghXj"),
        ("a\x1b[5A\x1b[2Jb", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("e" + "\u0301\x1b[m" * 40, "e\u0301\u0301\u0301"),
    ],
)
def test_log_line_looks_as_a_terminal_would_leave_it(raw: str, shown: str) -> None:
    assert plain_text(raw) == shown


def test_overwritten_text_takes_its_styles_along() -> None:
    assert styled_runs("\x1b[31mred\x1b[0m\rb") == [("b", PLAIN), ("ed", TextStyle(foreground=1))]


def test_text_for_a_terminal_that_does_not_read_utf_8_is_ascii() -> None:
    assert to_ascii("── ended…  Û31m 世") == "-- ended...  ?31m ?"


@pytest.mark.parametrize(
    "evil",
    ["\x1b", "\x1b[", "\x1b]", "\x1b[1;", "a://b:c/", "https://", "\u0301", "a:", "://a@", "x", "\r", "\t", "\x1b[1mx"],
)
def test_no_text_takes_long(evil: str) -> None:
    text = evil * 100_000
    began = time.process_time()
    for work in (clean, clean_block, redact, plain_text):
        work(text)
    assert time.process_time() - began < 5  # anything quadratic takes minutes
