"""Style of relay's prose: first words of docstrings, and words that are not used."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "relay_tui").rglob("*.py"))
INTERROGATIVE = re.compile(r"(What|Who|Whose|Where|How|Whether|Which|That|Those|When)\b")
UNUSED = re.compile(
    r"\b(anew|mend|mends|mended|mending|whoever|oneself|all the same|at work|under way|by and by|begun line)\b",
    re.IGNORECASE,
)
"""Words of a private dialect. House rule 16: plain technical English, one word for one concept."""
KEPT = {'"mend"', "'mend'", '"mend":'}
"""The JSON field of `relay doctor`, which scripts read."""


def _docstrings(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield line, text and whether it documents a property."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                decorators = [ast.unparse(one) for one in getattr(node, "decorator_list", [])]
                yield getattr(node, "lineno", 1), text, any("property" in one for one in decorators)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every comment and string."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING} and token.string not in KEPT:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_begin_with_a_verb_or_a_noun(path: Path) -> None:
    found = [
        (line, text.splitlines()[0])
        for line, text, is_property in _docstrings(path)
        if INTERROGATIVE.match(text) and not (is_property and text.startswith("Whether"))
    ]
    assert found == []


@pytest.mark.parametrize("path", [*SOURCES, ROOT / "README.md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_words_that_are_not_used(path: Path) -> None:
    texts = _texts(path) if path.suffix == ".py" else enumerate(path.read_text().splitlines(), 1)
    assert [(line, text) for line, text in texts if UNUSED.search(text)] == []


def test_the_checks_can_fail(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text('"""What it is."""\n\nx = 1  # mended by whoever\n')
    assert [INTERROGATIVE.match(text) is not None for _, text, _ in _docstrings(sample)] == [True]
    assert [UNUSED.search(text) is not None for _, text in _texts(sample)] == [False, True]
