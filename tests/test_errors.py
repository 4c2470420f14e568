"""User-visible errors: each one names its cause."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import relay_tui
from relay_tui.domain import errors
from relay_tui.domain.errors import EngineError, EngineUnreachableError, FileSystemError, with_step

SOURCE = Path(relay_tui.__file__).parent
FAMILY = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.RelayError) and kind is not errors.RelayError
}
SAY_IT_ALL = {"CancelledError", "InvalidInputError"}
"""Whose title is enough: who cancelled knows it, and a field's mistake stands beside the field."""
MENDABLE = {"ConflictError", "NameTakenError", "FileSystemError", "StoreError", "EngineUnreachableError"}
"""What a person can always do something about."""


def _raised() -> Iterator[tuple[str, str, bool, bool]]:
    """Place and class of each error that is made, and whether it has a detail and a hint."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAMILY:
                first = 2 if node.func.id == "InvalidInputError" else 1
                given = dict(zip(("detail", "hint"), node.args[first:], strict=False))
                given |= {keyword.arg or "": keyword.value for keyword in node.keywords}
                told = {name for name, value in given.items() if ast.unparse(value) not in {"''", '""'}}
                place = f"{path.relative_to(SOURCE)}:{node.lineno}"
                yield place, node.func.id, "detail" in told, "hint" in told


def test_each_error_has_a_detail_or_a_hint() -> None:
    raised = list(_raised())
    assert len(raised) > 60
    bare = [place for place, kind, detail, hint in raised if not (detail or hint) and kind not in SAY_IT_ALL]
    assert bare == []


def test_what_a_person_can_mend_says_how() -> None:
    assert [(place, kind) for place, kind, _, hint in _raised() if kind in MENDABLE and not hint] == []


@pytest.mark.parametrize("kind", [FileSystemError, EngineUnreachableError])
def test_step_is_told_once_of_what_could_fail_at_any(kind: type[errors.RelayError]) -> None:
    with pytest.raises(kind) as caught, with_step("Cloning"), with_step("Cloning"):
        raise kind("It failed", "why", "what to do")
    assert (caught.value.title, caught.value.detail, caught.value.hint) == ("Cloning: It failed", "why", "what to do")
    assert caught.value.fault.title == "Cloning: It failed"


def test_error_of_one_step_alone_keeps_its_title() -> None:
    with pytest.raises(EngineError) as caught, with_step("Creating the container"):
        raise EngineError("The image x cannot be pulled", "denied")
    assert caught.value.title == "The image x cannot be pulled"
