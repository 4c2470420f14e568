"""Makes text that relay did not write safe to show: names, git's and the engine's words, logs.

A terminal obeys what it is sent, so nothing that a repository, a remote or a container wrote may reach it raw.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, unquote

LOG_LINE_CELLS = 16_384
"""The most cells one log line is drawn with."""

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
"""An escape sequence, also one that has no end."""
# C0, DEL, C1; soft hyphen and other invisible letters; bidi controls; zero width; line separators; tags; surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff]"
)

# What only joins or parts letters, and nobody sees: in a log it is left out. Terminals do not agree on its width.
_JOINERS = re.compile("[\xad\u034f\u200b-\u200d\u2060-\u2064\ufeff]")

# Userinfo up to the last @ before the path; or, with an unescaped slash in the password, `user:pa/ss@`.
_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.-]{1,32})://"
    r"(?P<userinfo>[^\s\"<>`/?#]*(?=@)|(?!\[)[^\s\"<>`/?#@:]*:(?!\d*(?:[/?#\s\"'<>`]|$))[^\s\"<>`]{0,256}(?=@))@"
)
_SSH_SCHEMES = frozenset({"ssh", "git+ssh", "ssh+git", "sftp"})


def clean(text: str | bytes, *, limit: int = 500) -> str:
    """One safe line of at most `limit` characters, from anything. Cleaning twice changes nothing more."""
    if limit <= 0:
        return ""
    room = limit * 4  # what escape sequences may take up before the text is cut unseen
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
    """One line of a file as it is: what a terminal would obey, or nobody would see, is spelled out, never dropped.

    An escape is `␛`, or with `plain` (a terminal that shows ASCII only) `^[`; a bidi control is `<U+202E>`.
    """
    text = raw[: limit * 4].decode("utf-8", "replace")
    if not (text.isascii() and text.isprintable()):
        spelled = _spelled_plainly if plain else _spelled
        text = limit_combining_marks(_UNSAFE.sub(spelled, text).expandtabs(4))
    return text if len(text) <= limit else text[: limit - 1] + _MORE


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20 or code == 0x7F:
        return "\t" if code == 9 else "\u2421" if code == 0x7F else chr(0x2400 + code)
    return f"<U+{code:04X}>"


def _spelled_plainly(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"^{chr(code ^ 0x40)}" if (code < 0x20 or code == 0x7F) and code != 9 else _spelled(found)


def clean_block(text: str | bytes, *, lines: int = 200, width: int = 2000) -> str:
    """At most `lines` safe lines of at most `width` characters; what was left off is counted in the last one."""
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
    """`text` for a terminal that is not known to read UTF-8: there, a letter's bytes could be control characters."""
    return text if text.isascii() else text.translate(_PLAINER).encode("ascii", "replace").decode()


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets, however percent-encoded, and without the userinfo of any address.

    A bare user stays in ssh addresses: `ssh://git@host` names no secret.
    """
    forms = {form for secret in secrets if secret for form in _spellings(secret)}
    if forms:
        longest_first = sorted(forms, key=len, reverse=True)
        text = re.sub("|".join(map(re.escape, longest_first)), "***", text)
    return _ADDRESS.sub(_without_userinfo, text) if "://" in text else text


def strip_controls(text: str) -> str:
    """A piece of a log without what a terminal would obey, escape sequences aside."""
    return _UNSAFE.sub(_INSTEAD, _JOINERS.sub("", text))


def _last_written(line: str) -> str:
    """What a progress line ended on: the text after its last carriage return that has any."""
    return next((part for part in reversed(line.split("\r")) if part), "") if "\r" in line else line


_MARKS = ("Mn", "Me")
_KOREAN_VOWELS = "\u1160-\u11ff\ud7b0-\ud7ff"  # and finals: they take no cell either


def _korean_vowel(c: str) -> bool:
    return "\u1160" <= c <= "\u11ff" or "\ud7b0" <= c <= "\ud7ff"


def _has_marks(text: str) -> bool:
    """Whether any character takes no cell: mostly none does, and then the pattern for them need not be built."""
    if text.isascii():
        return False
    return any(c >= "\u0300" and (unicodedata.category(c) in _MARKS or _korean_vowel(c)) for c in set(text))


@cache
def _marks() -> re.Pattern[str]:
    """Runs of zero-width characters longer than is written in any language. Built when first needed: 15 ms."""
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
    """`text` without the accents that no language piles up."""
    return _marks().sub(r"\1", text) if _has_marks(text) else text


def _spellings(secret: str) -> set[str]:
    """A secret as it was typed, and as an address or a form would spell it."""
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
    """Log output for a terminal: lines and colours are kept, everything else that a terminal would obey is not."""
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
