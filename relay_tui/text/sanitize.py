"""Make untrusted text safe to show: names, messages of git and the engine, logs.

A terminal executes escape sequences, so text from a repository, a remote or a container never reaches it unchanged.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, unquote

LOG_LINE_CELLS = 16_384
"""Maximum number of cells of one log line on the screen."""

_INSTEAD = "\ufffd"
_NEWLINE = "\u23ce"
_MORE = "\u2026"
_MARKS_IN_A_ROW = 3
_PLAINER = str.maketrans(
    {_MORE: "...", _NEWLINE: "\\n", "\u2500": "-", "\u2013": "-", "\u2014": "-", "\u00b7": "|", "\u2192": "->"}
)

_STRING = r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x18\x1a\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c|\x18|\x1a)?"
_CSI = r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~]?)"
_ESCAPE = r"\x1b[ -/]*[0-~]"
SEQUENCE = re.compile(f"{_STRING}|{_CSI}|{_ESCAPE}")
"""Matches an escape sequence, also an unterminated one."""
# C0, DEL, C1; soft hyphen and other invisible letters; bidi controls; zero width; line separators; tags; surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff]"
)

# Invisible characters that join or separate letters. Logs drop them, because terminals disagree on their width.
_JOINERS = re.compile("[\xad\u034f\u200b-\u200d\u2060-\u2064\ufeff]")

# Userinfo up to the last @ before the path; or, with an unescaped slash in the password, `user:pa/ss@`.
_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.-]{1,32})://"
    r"(?P<userinfo>[^\s\"<>`/?#]*(?=@)|(?!\[)[^\s\"<>`/?#@:]*:(?!\d*(?:[/?#\s\"'<>`]|$))[^\s\"<>`]{0,256}(?=@))@"
)
_SSH_SCHEMES = frozenset({"ssh", "git+ssh", "ssh+git", "sftp"})


def clean(text: str | bytes, *, limit: int = 500) -> str:
    """Return one safe line of at most `limit` characters. The function is idempotent."""
    if limit <= 0:
        return ""
    room = limit * 4  # escape sequences may use this much before the text is cut
    cut = len(text) > room * (4 if isinstance(text, bytes) else 1)
    if isinstance(text, bytes):
        text = text[: room * 4].decode("utf-8", "replace")
    cut = cut or len(text) > room
    text = text[:room]
    if not (text.isascii() and text.isprintable()):
        text = SEQUENCE.sub("", text).replace("\r\n", _NEWLINE).replace("\n", _NEWLINE).expandtabs(8)
        text = limit_combining_marks(_UNSAFE.sub(_INSTEAD, text))
    if cut or len(text) > limit:
        text = text[: limit - 1] + _MORE
    return text


def escape_controls(raw: bytes, *, limit: int = LOG_LINE_CELLS, plain: bool = False) -> str:
    """Return one line of a file with control and invisible characters spelled out. No character is dropped.

    An escape becomes `␛`, or `^[` with `plain` (for an ASCII terminal). A bidi control becomes `<U+202E>`.
    """
    text = raw[: limit * 4].decode("utf-8", "replace")
    if not (text.isascii() and text.isprintable()):
        spelled = _caret_notation if plain else _visible_form
        text = limit_combining_marks(_UNSAFE.sub(spelled, text).expandtabs(4))
    return text if len(text) <= limit else text[: limit - 1] + _MORE


def _visible_form(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20 or code == 0x7F:
        return "\t" if code == 9 else "\u2421" if code == 0x7F else chr(0x2400 + code)
    return f"<U+{code:04X}>"


def _caret_notation(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"^{chr(code ^ 0x40)}" if (code < 0x20 or code == 0x7F) and code != 9 else _visible_form(found)


def clean_block(text: str | bytes, *, lines: int = 200, width: int = 2000) -> str:
    """Return at most `lines` safe lines of at most `width` characters. The last line counts omitted lines."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    lines = max(lines, 1)
    total = text.rstrip("\r\n").count("\n") + 1
    kept = text.rstrip("\r\n").split("\n", lines)[: lines if total <= lines else lines - 1]
    cleaned = [clean(_last_written(line), limit=width) for line in kept]
    if total > lines:
        more = total - len(kept)
        cleaned.append(f"{_MORE} {more} {'line' if more == 1 else 'lines'} more")
    return "\n".join(cleaned)


def to_ascii(text: str) -> str:
    """Return `text` in ASCII. A terminal without UTF-8 could read the bytes of other characters as controls."""
    return text if text.isascii() else text.translate(_PLAINER).encode("ascii", "replace").decode()


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without the given secrets, also percent-encoded ones, and without userinfo in URLs.

    A user without a password stays in ssh URLs: `ssh://git@host` contains no secret.
    """
    forms = {form for secret in secrets if secret for form in _spellings(secret)}
    if forms:
        longest_first = sorted(forms, key=len, reverse=True)
        text = re.sub("|".join(map(re.escape, longest_first)), "***", text)
    return _ADDRESS.sub(_without_userinfo, text) if "://" in text else text


def strip_controls(text: str) -> str:
    """Replace control characters in a piece of a log. The caller has removed or parsed escape sequences."""
    return _UNSAFE.sub(_INSTEAD, _JOINERS.sub("", text))


def _last_written(line: str) -> str:
    """Return the final text of a progress line: the last part between carriage returns that is not empty."""
    return next((part for part in reversed(line.split("\r")) if part), "") if "\r" in line else line


_MARKS = ("Mn", "Me")
_KOREAN_VOWELS = "\u1160-\u11ff\ud7b0-\ud7ff"  # vowels and final consonants have no width


def _korean_vowel(c: str) -> bool:
    return "\u1160" <= c <= "\u11ff" or "\ud7b0" <= c <= "\ud7ff"


def _has_marks(text: str) -> bool:
    """Return whether any character has no width. Usually none has, and the pattern below need not be built."""
    if text.isascii():
        return False
    return any(c >= "\u0300" and (unicodedata.category(c) in _MARKS or _korean_vowel(c)) for c in set(text))


@cache
def _marks() -> re.Pattern[str]:
    """Return a pattern for runs of zero-width characters that are longer than in any language. Building takes 15 ms."""
    ranges: list[list[int]] = []
    for code in range(0x300, min(sys.maxunicode, 0x1F000)):
        if unicodedata.category(chr(code)) in _MARKS:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    letters = _KOREAN_VOWELS + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
    return re.compile(f"([{letters}]{{{_MARKS_IN_A_ROW}}})[{letters}]+")


def limit_combining_marks(text: str) -> str:
    """Return `text` with at most three combining marks in a row."""
    return _marks().sub(r"\1", text) if _has_marks(text) else text


def _spellings(secret: str) -> set[str]:
    """Return a secret as typed, and in its URL and form encodings."""
    encoded = quote(secret, errors="replace")
    forms = {encoded, encoded.replace("%20", "+"), quote(secret, safe="", errors="replace")}
    lower = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms}
    return {secret} | forms | lower | {form for form in (unquote(secret),) if form.strip()}


def _without_userinfo(found: re.Match[str]) -> str:
    scheme, userinfo = found["scheme"], found["userinfo"]
    if scheme.lower() in _SSH_SCHEMES and ":" not in userinfo:
        return found[0]
    return f"{scheme}://***@"


_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def terminal_safe(data: bytes) -> bytes:
    """Return log output for a terminal. Only newlines and colours are kept, other controls are removed."""
    kept: list[str] = []
    decoded = data.decode("utf-8", "replace").replace("\r\n", "\n")
    position = 0
    for colour in _COLOUR.finditer(decoded):
        kept.extend((_without_controls(decoded[position : colour.start()]), colour[0]))
        position = colour.end()
    kept.append(_without_controls(decoded[position:]))
    return "".join(kept).encode()


def _without_controls(text: str) -> str:
    lines = (SEQUENCE.sub("", line).expandtabs(8) for line in text.split("\n"))
    return "\n".join(limit_combining_marks(strip_controls(line)) for line in lines)
