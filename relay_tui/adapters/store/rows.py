"""How a record becomes a row of the store (plain JSON values) and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import TypeVar

from relay_tui.errors import Fault
from relay_tui.model import CloneState, Desired, Project, Record, Session, SessionState

Row = Mapping[str, object]
_Choice = TypeVar("_Choice", bound=StrEnum)
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Project, Session, Fault)}


class BadRowError(ValueError):
    """A row that is no record; its message says which field is wrong, and how."""


def encode(record: Record) -> dict[str, object]:
    """The record as JSON values, one for each field."""
    return {name: _plain(getattr(record, name)) for name in _FIELDS[type(record)]}


def decode_project(row: Row) -> Project:
    """The project a row holds. Unknown fields are ignored, a field with a default may be missing."""
    return Project(
        id=_text(row, "id"),
        name=_text(row, "name"),
        source=_text(row, "source"),
        default_branch=_text(row, "default_branch", ""),
        default_image=_text(row, "default_image", ""),
        default_profile=_text(row, "default_profile", ""),
        default_runtime=_text(row, "default_runtime", ""),
        clone_state=_choice(row, "clone_state", CloneState.PENDING),
        clone_error=_fault(row, "clone_error"),
        desired=_choice(row, "desired", Desired.RUNNING),
        created_at=_text(row, "created_at", ""),
        updated_at=_text(row, "updated_at", ""),
        deleted_at=_text_or_none(row, "deleted_at"),
    )


def decode_session(row: Row) -> Session:
    """The session a row holds. Unknown fields are ignored, a field with a default may be missing."""
    return Session(
        id=_text(row, "id"),
        project_id=_text(row, "project_id"),
        name=_text(row, "name"),
        branch=_text(row, "branch"),
        base_branch=_text(row, "base_branch"),
        image=_text(row, "image"),
        profile=_text(row, "profile"),
        work_dir=_text(row, "work_dir"),
        runtime=_text(row, "runtime", "docker"),
        isolated=_flag(row, "isolated", True),
        container_id=_text(row, "container_id", ""),
        desired=_choice(row, "desired", Desired.RUNNING),
        state=_choice(row, "state", SessionState.STARTING),
        error_reason=_fault(row, "error_reason"),
        exit_code=_number_or_none(row, "exit_code"),
        notes=_texts(row, "notes"),
        created_at=_text(row, "created_at", ""),
        updated_at=_text(row, "updated_at", ""),
        deleted_at=_text_or_none(row, "deleted_at"),
    )


def _plain(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Fault):
        return {name: getattr(value, name) for name in _FIELDS[Fault]}
    return list(value) if isinstance(value, tuple) else value


def _wrong(name: str, value: object, wanted: str) -> BadRowError:
    return BadRowError(f"its {name} is {repr(value)[:60]}, not {wanted}")


def _text(row: Row, name: str, default: str | None = None) -> str:
    value = row.get(name, default)
    if isinstance(value, str):
        return value
    raise _wrong(name, value, "text") if name in row else BadRowError(f"it has no {name}")


def _text_or_none(row: Row, name: str) -> str | None:
    return None if row.get(name) is None else _text(row, name)


def _flag(row: Row, name: str, default: bool) -> bool:
    value = row.get(name, default)
    if isinstance(value, bool):
        return value
    raise _wrong(name, value, "true or false")


def _texts(row: Row, name: str) -> tuple[str, ...]:
    value = row.get(name, [])
    if not isinstance(value, list):
        raise _wrong(name, value, "a list of texts")
    texts = tuple(text for text in value if isinstance(text, str))
    if len(texts) != len(value):
        raise _wrong(name, value, "a list of texts")
    return texts


def _number_or_none(row: Row, name: str) -> int | None:
    value = row.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise _wrong(name, value, "a whole number")


def _choice(row: Row, name: str, default: _Choice) -> _Choice:
    kind = type(default)
    word = _text(row, name, default)
    try:
        return kind(word)
    except ValueError as error:
        raise _wrong(name, word, "one of " + ", ".join(kind)) from error


def _fault(row: Row, name: str) -> Fault | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong(name, value, "an error")
    return Fault(_text(value, "kind"), _text(value, "title"), _text(value, "detail", ""), _text(value, "hint", ""))
