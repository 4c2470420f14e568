"""Hints fit where they are read: keys on the screen, commands on the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import relay_tui
from relay_tui.cli.main import relay as command_line
from relay_tui.domain.hints import HINT_ACTIONS, render_for_cli
from relay_tui.ui.keys.actions import BY_NAME
from relay_tui.ui.keys.keymap import FIXED
from relay_tui.ui.presentation.formatting import format_hint

SOURCE = Path(relay_tui.__file__).parent
_PLACE = {"InvalidInputError": 3, "NeedsConsentError": 3, "Fault": 3}
_KEY = re.compile(r"(?<![\w'.<+-])(?!a |A |I )[A-Za-z](?![\w'.:/>-])|\b[Pp]ress\b|, then [A-Za-z]\.")
"""A letter that stands alone, which in a sentence is a key."""
_OPTION = re.compile(r"(?<!\w)--(?!data-dir)[a-z-]+")
_COMMAND = re.compile(r"(?:relay|git|docker|ssh|sudo) [a-z][^:.;,)]*")


def _hints(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the position and the text of each hint, with NAME for inserted values."""
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for found in _of(node):
                for words in _words(found):
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", words  # type: ignore[attr-defined]


def _of(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        found = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
        if name == "Fault" or name.endswith("Error"):
            found += node.args[_PLACE.get(name, 2) :][:1]
        return found
    if isinstance(node, ast.Assign) and any("hint" in ast.unparse(target).lower() for target in node.targets):
        if isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Tuple):
            return node.value.elts[-1:]
        return [node.value]
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):  # a title and its hint
        texts = [part for part in node.value.elts if isinstance(part, ast.JoinedStr) or _is_text(part)]
        return texts[1:] if len(texts) == len(node.value.elts) == 2 else []
    return []


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _words(node: ast.expr) -> Iterator[str]:
    """Every whole string in an expression."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "NAME" for v in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not isinstance(node, ast.Call):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _words(child)


EVERY = [
    hint
    for part in ("adapters", "services", "cli", "config.py", "errors.py", "paths.py")
    for hint in (_hints(SOURCE / part) if (SOURCE / part).is_dir() else ())
]


def test_every_deed_is_an_action_and_a_command() -> None:
    for deed in HINT_ACTIONS.values():
        assert deed.action in BY_NAME
        if deed.command.startswith("relay "):
            group, name, _ = deed.command.removeprefix("relay ").split()
            assert name in command_line.commands[group].commands  # type: ignore[attr-defined]


def test_a_hint_is_read_in_both_places() -> None:
    hint = "{retry} makes a new one; {start main} it, or {remove it all the same|add --force}. {[x]} {nothing} {"
    assert format_hint(hint) == "R makes a new one; S it, or remove it all the same. {[x]} {nothing} {"
    assert render_for_cli(hint) == (
        "relay session retry SESSION makes a new one; relay session start main it, or add --force. {[x]} {nothing} {"
    )
    assert render_for_cli("{retry} {restart main}", "demo/side") == (
        "relay session retry demo/side relay session restart main"
    )


def test_no_hint_names_a_key_on_the_command_line() -> None:
    assert len(EVERY) > 150
    wrong = [(place, hint) for place, hint in EVERY if _KEY.search(_COMMAND.sub("", render_for_cli(hint)))]
    assert wrong == []


def test_no_hint_names_an_option_of_the_command_line_on_the_screen() -> None:
    shown = [(place, hint) for place, hint in EVERY if not place.startswith("cli/")]
    assert [(place, hint) for place, hint in shown if _OPTION.search(_COMMAND.sub("", format_hint(hint)))] == []


_NAMED = re.compile(  # a text that ends with "Press " is followed by a key of the table
    _KEY.pattern.replace("<+-]", "<+%\\\\-]").replace("ress\\b", r"ress (?=\S)")
    + r"|\besc\b|\bctrl\+\w|(?<=[\s(])[][?](?= [a-z )])(?! unknown)"
)


def _key_in(found: re.Match[str], text: str) -> str:
    """Return the key that a match names: the match itself, or the word after "Press"."""
    return text[found.end() :].split()[0] if found[0].strip().lower() == "press" else found[0]


_TABLES = {"actions.py", "keymap.py"}


def test_no_words_on_the_screen_name_a_key_of_the_table() -> None:
    """The table may give it another; what is bound in the same module, as in a dialog, stays what it is."""
    wrong = []
    forms = _bound((SOURCE / "ui/dialogs/form.py").read_text())
    for path in sorted((SOURCE / "ui").rglob("*.py")):
        source = path.read_text()
        own = FIXED | (_bound(source) | forms if path.parent.name == "dialogs" else set())
        for words in _prose(ast.parse(source)) if path.name not in _TABLES else ():
            wrong += [(path.name, words) for found in _NAMED.finditer(words) if _key_in(found, words) not in own]
    assert wrong == []


def _bound(source: str) -> set[str]:
    """The keys that a module binds."""
    return {key for keys in re.findall(r'Binding\(f?"([^"]+)"', source) for key in keys.split(",")} | {"esc"}


def _prose(tree: ast.Module) -> Iterator[str]:
    """Every text of more than one word, but for docstrings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docs else None
        if isinstance(text, str) and " " in text.strip():
            yield text


@pytest.mark.parametrize("words", ["esc hides this", "press it", " ] ) has it", "(ctrl+r) looks again", ". u undoes"])
def test_a_key_on_the_screen_is_seen(words: str) -> None:
    assert _NAMED.search(words)


@pytest.mark.parametrize("hint", ["R makes a new one.", "Mend it, then R.", "press c to cancel it", "S lets it go on"])
def test_a_key_is_seen(hint: str) -> None:
    assert _KEY.search(hint)
