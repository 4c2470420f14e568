"""Makes text that relay did not write safe to show: names, git's and the engine's words, logs.

A terminal obeys what it is sent, so nothing that a repository, a remote or a container wrote may reach it raw.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote, unquote

LOG_LINE_CELLS = 16_384
"""The most characters one log line is drawn with."""

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
_SEQUENCE = re.compile(f"{_STRING}|{_CSI}|{_ESCAPE}")
HOME = "\x1c"
"""In a raw log line: what stands before it is relay's, and nothing behind it can go back there and overwrite it."""
_TOKEN = re.compile(f"(?P<move>[\\t\\r\\b{HOME}])|{_STRING}|{_CSI}|{_ESCAPE}")

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
        text = _SEQUENCE.sub("", text).replace("\r\n", _NEWLINE).replace("\n", _NEWLINE).expandtabs(8)
        text = _fewer_marks(_UNSAFE.sub(_INSTEAD, text))
    if cut or len(text) > limit:
        text = text[: limit - 1] + _MORE
    return text


def visible(raw: bytes, *, limit: int = LOG_LINE_CELLS, plain: bool = False) -> str:
    """One line of a file as it is: what a terminal would obey, or nobody would see, is spelled out, never dropped.

    An escape is `␛`, or with `plain` (a terminal that shows ASCII only) `^[`; a bidi control is `<U+202E>`.
    """
    text = raw[: limit * 4].decode("utf-8", "replace")
    if not (text.isascii() and text.isprintable()):
        spelled = _spelled_plainly if plain else _spelled
        text = _fewer_marks(_UNSAFE.sub(spelled, text).expandtabs(4))
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


def ascii_only(text: str) -> str:
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


class TextStyle(NamedTuple):
    """How a piece of a log line looks. A colour is 0..255 of the palette, or `TRUE_COLOUR | 0xRRGGBB`, or none."""

    foreground: int | None = None
    background: int | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


TRUE_COLOUR = 1 << 24
PLAIN = TextStyle()

Run = tuple[str, TextStyle]


def log_runs(raw: str) -> list[Run]:
    """One raw log line as safe pieces of text, each with its style: what a terminal would show at the line's end.

    Colours and other text attributes are kept, carriage returns and backspaces overwrite, tabs reach every eighth
    column; every other escape sequence is dropped. The text of all pieces together is free of control characters.
    """
    if raw.isascii() and raw.isprintable():
        return [(raw, PLAIN)] if raw else []
    line = _Line()
    _obey(line, raw.rstrip("\r\n"))
    return line.runs()


def _obey(line: _Line, raw: str) -> None:
    at = 0
    style = PLAIN
    for token in _TOKEN.finditer(raw):
        if token.start() > at:
            line.write(raw[at : token.start()], style)
        at = token.end()
        if token["move"]:
            line.move(token["move"], style)
        elif token["final"] == "m" and not token["between"]:
            style = _styled(style, token["parameters"])
        elif token["final"] in ("K", "G") and not token["between"]:
            line.edit(token["final"], token["parameters"])
    if at < len(raw):
        line.write(raw[at:], style)


def log_plain(raw: str) -> str:
    """The safe text of one raw log line, without styles: for searching, copying and pipes."""
    if raw.isascii() and raw.isprintable():
        return raw
    return "".join(text for text, _ in log_runs(raw))


def _safe(text: str) -> str:
    return _UNSAFE.sub(_INSTEAD, _JOINERS.sub("", text))


def log_written(raw: str) -> str:
    """One raw log line for a file: all that was written, without what a terminal would obey.

    A line that overwrote itself is what a terminal would show at its end.
    """
    if raw.isascii() and raw.isprintable():
        return raw
    raw = raw.rstrip("\r\n")
    if _OVERWRITES.search(raw):
        line = _Line(most=sys.maxsize, safe=_without_control_characters)
        _obey(line, raw)
        return line.text()
    return _without_control_characters(_SEQUENCE.sub("", raw))


_OVERWRITES = re.compile("[\r\b]|(?:\x1b\\[|\x9b)[0-9]*[KG]")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")


def _without_control_characters(text: str) -> str:
    return _CONTROLS.sub("", text)


class _Line:
    """One row of a terminal: characters, their styles and a cursor."""

    def __init__(self, most: int = LOG_LINE_CELLS, safe: Callable[[str], str] | None = None) -> None:
        self._most = most
        self._safe = safe or _safe
        self._characters: list[str] = []
        self._styles: list[TextStyle] = []
        self._column = self._home = 0

    def text(self) -> str:
        """All that stands in it, as it is."""
        return "".join(self._characters)

    def write(self, text: str, style: TextStyle) -> None:
        """Put `text` at the cursor, over what is there."""
        text = self._safe(text)[: max(0, self._most - self._column)]
        end = self._column + len(text)
        self._characters[self._column : end] = text
        self._styles[self._column : end] = [style] * len(text)
        self._column = end

    def move(self, control: str, style: TextStyle) -> None:
        """Obey a tab, carriage return or backspace; the first HOME is the one that counts."""
        if control == "\r":
            self._column = self._home
        elif control == "\b":
            self._column = max(self._home, self._column - 1)
        elif control == HOME:
            self._home = self._home or self._column
        else:
            target = (self._column // 8 + 1) * 8
            missing = target - max(len(self._characters), self._column)
            if missing > 0:
                self._column = target - missing
                self.write(" " * missing, style)
            self._column = min(target, len(self._characters))

    def edit(self, final: str, parameters: str) -> None:
        """Obey `erase in line` (K) or `cursor to column` (G): progress bars are made of them."""
        number = int(parameters) if parameters.isascii() and parameters.isdigit() and len(parameters) < 6 else 0
        if final == "G":
            self._column = min(self._home + max(number - 1, 0), len(self._characters))
        elif number == 0:
            del self._characters[self._column :], self._styles[self._column :]
        else:
            end = min(self._column + 1, len(self._characters)) if number == 1 else len(self._characters)
            self._characters[self._home : end] = " " * (end - self._home)
            self._styles[self._home : end] = [PLAIN] * (end - self._home)

    def runs(self) -> list[Run]:
        """Neighbours of one style, joined."""
        runs = []
        characters = self._characters
        if not "".join(characters).isascii():
            self._drop_marks()
        at = 0
        for style, group in groupby(self._styles):
            end = at + len(list(group))
            runs.append(("".join(characters[at:end]), style))
            at = end
        return runs

    def _drop_marks(self) -> None:
        if not _has_marks("".join(self._characters)):
            return
        for found in reversed(list(_marks().finditer("".join(self._characters)))):
            del self._characters[found.end(1) : found.end()], self._styles[found.end(1) : found.end()]


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


def _fewer_marks(text: str) -> str:
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


@lru_cache(maxsize=1024)
def _styled(style: TextStyle, parameters: str) -> TextStyle:
    """`style` after a select-graphic-rendition sequence; what it does not know it skips."""
    if parameters[:1] in ("<", "=", ">", "?"):  # a private sequence that only ends like this one
        return style
    changes = style._asdict()
    codes = parameters.split(";")
    while codes:
        code, *details = codes.pop(0).split(":")
        number = _number(code)
        if number in (38, 48, 58):
            colour = _extended_colour(details, codes)
            if colour is not None and number != 58:
                changes["foreground" if number == 38 else "background"] = colour
        elif number == 4 and details == ["0"]:
            changes["underline"] = False
        elif number == 0:
            changes = PLAIN._asdict()
        else:
            changes.update(_SIMPLE_CODES.get(number, {}))
    return TextStyle(**changes)


def _extended_colour(details: list[str], codes: list[str]) -> int | None:
    """A palette (5) or true colour (2) from sub-parameters, else taken off the front of `codes`."""
    if details:
        numbers = [_number(code) for code in details]
        rgb = numbers[-3:] if len(numbers) >= 4 else []
    else:
        numbers = [_number(code) for code in codes[:4]]
        del codes[: {5: 2, 2: 4}.get(numbers[0] if numbers else 0, 1)]
        rgb = numbers[1:4]
    if numbers[:1] == [5] and len(numbers) > 1 and 0 <= numbers[1] <= 255:
        return numbers[1]
    if numbers[:1] == [2] and len(rgb) == 3 and all(0 <= part <= 255 for part in rgb):
        return TRUE_COLOUR | rgb[0] << 16 | rgb[1] << 8 | rgb[2]
    return None


def _number(code: str) -> int:
    """A parameter's value; an empty one means 0, nonsense -1."""
    if not code:
        return 0
    return int(code) if code.isascii() and code.isdigit() and len(code) < 6 else -1


_SIMPLE_CODES: dict[int, dict[str, int | bool | None]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
    39: {"foreground": None},
    49: {"background": None},
    **{30 + colour: {"foreground": colour} for colour in range(8)},
    **{40 + colour: {"background": colour} for colour in range(8)},
    **{90 + colour: {"foreground": 8 + colour} for colour in range(8)},
    **{100 + colour: {"background": 8 + colour} for colour in range(8)},
}


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
    lines = (_SEQUENCE.sub("", line).expandtabs(8) for line in text.split("\n"))
    return "\n".join(_fewer_marks(_safe(line)) for line in lines)
