"""Syntax colours for some lines of a file, by Pygments. Lexers meet hostile text: few, short pieces, and a budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pygments.lexer import Lexer

Ink = Literal["keyword", "string", "number", "comment", "name", "builtin"]
Piece = tuple[int, int, Ink]
"""From, to (exclusive) in a line's characters, and what it is."""

LONGEST = 400
"""Characters of a line that are coloured."""
BUDGET = 0.06
"""Seconds for one call; a file that takes longer goes without colours."""

_LANGUAGES = {
    **dict.fromkeys(("py", "pyi"), "python"),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx"), "javascript"),
    **dict.fromkeys(("ts", "tsx", "mts"), "typescript"),
    **dict.fromkeys(("c", "h"), "c"),
    **dict.fromkeys(("cc", "cpp", "cxx", "hpp", "hh"), "cpp"),
    **dict.fromkeys(("sh", "bash", "zsh", "envrc", "bashrc", "profile"), "bash"),
    **dict.fromkeys(("yml", "yaml"), "yaml"),
    **dict.fromkeys(("ini", "cfg", "conf", "editorconfig"), "ini"),
    **dict.fromkeys(("html", "htm"), "html"),
    **dict.fromkeys(("xml", "svg"), "xml"),
    **dict.fromkeys(("kt", "kts"), "kotlin"),
    **dict.fromkeys(("ex", "exs"), "elixir"),
    **dict.fromkeys(("tf", "hcl"), "terraform"),
    **dict.fromkeys(("dockerfile", "containerfile"), "docker"),
    **dict.fromkeys(("makefile", "mk"), "make"),
    **{"go": "go", "rs": "rust", "java": "java", "rb": "ruby", "php": "php", "sql": "sql", "css": "css"},
    **{"scss": "scss", "json": "json", "toml": "toml", "lua": "lua", "swift": "swift", "scala": "scala"},
    **{"cs": "csharp", "hs": "haskell", "proto": "protobuf", "zig": "zig", "dart": "dart", "md": "markdown"},
}


@lru_cache(maxsize=64)
def lexer_for(path: str) -> Lexer | None:
    """Return the lexer for a file's name; None for plain text."""
    name = PurePath(path).name.lower()
    language = _LANGUAGES.get(name.rpartition(".")[2])
    if language is None:
        return None
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


def colours(lexer: Lexer, lines: Sequence[str]) -> list[list[Piece]] | None:
    """Return the coloured spans of consecutive lines; None if lexing took too long."""
    starts: list[int] = []
    at = 0
    short = [line[:LONGEST] for line in lines]
    for text in short:
        starts.append(at)
        at += len(text) + 1
    pieces: list[list[Piece]] = [[] for _ in lines]
    number = 0
    until = time.perf_counter() + BUDGET
    for index, token, value in lexer.get_tokens_unprocessed("\n".join(short)):
        if time.perf_counter() > until:
            return None
        ink = _ink(token)
        while number + 1 < len(starts) and starts[number + 1] <= index:
            number += 1
        if ink is None:
            continue
        end, line = index + len(value), number
        while line < len(starts) and starts[line] < end:
            first, last = max(index - starts[line], 0), min(end - starts[line], len(short[line]))
            if first < last:
                pieces[line].append((first, last, ink))
            line += 1
    return pieces


@lru_cache(maxsize=512)
def _ink(token: object) -> Ink | None:
    """A token's ink: that of the nearest of its ancestors that has one."""
    inks = _inks()
    while token is not None:
        if token in inks:
            return inks[token]
        token = getattr(token, "parent", None)
    return None


@lru_cache(maxsize=1)
def _inks() -> Mapping[object, Ink | None]:
    from pygments.token import Token

    return {
        Token.Comment: "comment",
        Token.Comment.Preproc: "keyword",
        Token.Keyword: "keyword",
        Token.Operator.Word: "keyword",
        Token.Literal.String: "string",
        Token.Literal.String.Affix: "keyword",
        Token.Literal.String.Doc: "comment",
        Token.Literal.Number: "number",
        Token.Keyword.Constant: "number",
        Token.Name.Function: "name",
        Token.Name.Class: "name",
        Token.Name.Decorator: "builtin",
        Token.Name.Builtin: "builtin",
        Token.Name.Tag: "keyword",
        Token.Name.Attribute: "name",
        Token.Generic.Heading: "keyword",
        Token.Generic.Subheading: "keyword",
    }
