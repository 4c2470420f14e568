"""Conversion of records to rows of the store (JSON values) and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from operator import itemgetter
from typing import TypeVar

from relay_tui.errors import Fault
from relay_tui.model import CloneState, Desired, Project, Record, Session, SessionState

Row = Mapping[str, object]
_Choice = TypeVar("_Choice", bound=StrEnum)
_session_texts = itemgetter(
    *("id", "project_id", "name", "branch", "base_branch", "image", "profile", "work_dir", "runtime"),
    *("container_id", "created_at", "updated_at", "desired", "state"),
)
_session_others = itemgetter("isolated", "exit_code", "deleted_at")
_DESIRED = {choice.value: choice for choice in Desired}
_STATES = {choice.value: choice for choice in SessionState}
_NUMBER, _TEXT = (int, type(None)), (str, type(None))
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Project, Session, Fault)}


class BadRowError(ValueError):
    """A row that is not a record. The message names the field and what is wrong with it."""


def encode(record: Record) -> dict[str, object]:
    """Return the record as JSON values, one for each field."""
    return {name: _plain(getattr(record, name)) for name in _FIELDS[type(record)]}


def decode_project(row: Row) -> Project:
    """Return the project in a row. Unknown fields are ignored; fields with a default may be missing."""
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
    """Return the session in a row. Unknown fields are ignored; fields with a default may be missing."""
    return _whole_session(row) or Session(
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


def _whole_session(row: Row) -> Session | None:
    """Return the session in a row without error and notes, as `encode` writes it; None for any other row.

    Nearly all of thousands of rows are like this. Checking all fields at once takes half the time.
    """
    try:
        texts = _session_texts(row)
        if {*map(type, texts)} != {str} or row["error_reason"] is not None or row["notes"] != []:
            return None
        isolated, exit_code, deleted_at = _session_others(row)
        desired, state = _DESIRED[texts[-2]], _STATES[texts[-1]]
    except (KeyError, TypeError):
        return None
    if type(isolated) is not bool or type(exit_code) not in _NUMBER or type(deleted_at) not in _TEXT:
        return None
    return Session(
        id=texts[0],
        project_id=texts[1],
        name=texts[2],
        branch=texts[3],
        base_branch=texts[4],
        image=texts[5],
        profile=texts[6],
        work_dir=texts[7],
        runtime=texts[8],
        container_id=texts[9],
        created_at=texts[10],
        updated_at=texts[11],
        isolated=isolated,
        exit_code=exit_code,
        deleted_at=deleted_at,
        desired=desired,
        state=state,
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
