"""SessionRepository: lookups, updates, and errors on the session's row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Rig, build

from relay_tui.domain.errors import CancelledError, Fault, FileSystemError, GitError, NotFoundError
from relay_tui.domain.events import RecordsChanged
from relay_tui.domain.models import Project, Session, SessionState, now
from relay_tui.ports.task import TaskContext
from relay_tui.services.sessions.observation import CommandFailedError
from relay_tui.services.sessions.repository import SessionRepository


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay with fake git and engine."""
    return build(tmp_path / "data")


@pytest.fixture
def project(rig: Rig) -> Project:
    """A cloned project with one running session."""
    return rig.ready()


@pytest.fixture
def session(rig: Rig, project: Project) -> Session:
    """The project's session."""
    return rig.live(project)[0]


@pytest.fixture
def repository(rig: Rig) -> SessionRepository:
    """A repository over the rig's store and bus."""
    return SessionRepository(rig.relay.store, rig.relay.bus, rig.relay.data_dir)


def changes(rig: Rig) -> int:
    """Return how often a change of the records was published."""
    return sum(isinstance(event, RecordsChanged) for event in rig.events)


def test_find_and_project_of(repository: SessionRepository, project: Project, session: Session) -> None:
    assert repository.find(session.id) == session
    assert repository.project_of(session) == project
    assert repository.find_project(project.id) == project
    assert repository.full_name(session.id) == f"{project.name}/{session.name}"


def test_removed_records_are_not_found(
    rig: Rig, repository: SessionRepository, project: Project, session: Session
) -> None:
    rig.put(replace(session, deleted_at=now()), replace(project, deleted_at=now()))
    for find, record_id in ((repository.find, session.id), (repository.find, "nothing")):
        with pytest.raises(NotFoundError, match="That session is gone") as error:
            find(record_id)
        assert error.value.detail == record_id
    for record_id in (project.id, "nothing"):
        with pytest.raises(NotFoundError, match="That project is gone"):
            repository.find_project(record_id)
    with pytest.raises(NotFoundError, match="That project is gone"):
        repository.project_of(session)
    with pytest.raises(NotFoundError, match="That session is gone"):
        repository.update(session.id, name="other")
    assert repository.full_name("nothing") == ""


def test_update_writes_and_publishes_once(rig: Rig, repository: SessionRepository, session: Session) -> None:
    before = changes(rig)
    updated = repository.update(session.id, name="other", exit_code=3)
    assert (updated.name, updated.exit_code) == ("other", 3)
    assert rig.session(session.id) == updated
    assert changes(rig) == before + 1


def test_update_without_a_difference_writes_nothing(rig: Rig, repository: SessionRepository, session: Session) -> None:
    before, version = changes(rig), rig.relay.store.version()
    assert repository.update(session.id, name=session.name) == session
    assert changes(rig) == before
    assert rig.relay.store.version() == version


def test_a_failed_transaction_publishes_nothing(rig: Rig, repository: SessionRepository, session: Session) -> None:
    before = changes(rig)
    with pytest.raises(GitError), repository.transaction() as change:
        change.put(replace(session, name="other"))
        raise GitError("It failed")
    assert changes(rig) == before
    assert rig.session(session.id).name == session.name


def test_an_error_is_written_on_the_row_and_raised(rig: Rig, repository: SessionRepository, session: Session) -> None:
    with pytest.raises(GitError) as error, repository.run_on_row(session.id, TaskContext()):
        raise GitError("Cannot clone", "fatal: no", "Try again.")
    assert error.value.about == repository.full_name(session.id)
    found = rig.session(session.id)
    assert (found.state, found.error_reason) == (
        SessionState.ERROR,
        Fault("git", "Cannot clone", "fatal: no", "Try again."),
    )


def test_a_failed_command_keeps_what_the_row_has(rig: Rig, repository: SessionRepository, session: Session) -> None:
    with pytest.raises(CommandFailedError) as error, repository.run_on_row(session.id, TaskContext()):
        raise CommandFailedError(Fault("engine", "The command failed (exit code 3)"))
    assert error.value.about == repository.full_name(session.id)
    assert rig.session(session.id) == session


@pytest.mark.parametrize("quitting", [False, True])
def test_a_cancelled_task_is_noted_unless_relay_quits(
    rig: Rig, repository: SessionRepository, session: Session, quitting: bool
) -> None:
    task = TaskContext()
    task.cancel(quitting=quitting)
    with pytest.raises(CancelledError), repository.run_on_row(session.id, task):
        task.raise_if_cancelled()
    reason = rig.session(session.id).error_reason
    assert (reason is None) if quitting else (reason is not None and reason.title == "Cancelled")


def test_the_error_is_raised_even_if_the_row_cannot_be_written(
    rig: Rig, repository: SessionRepository, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def update(*_: object, **__: object) -> Session:
        raise FileSystemError("The disk is full")

    monkeypatch.setattr(repository, "update", update)
    with pytest.raises(GitError, match="Cannot clone"), repository.run_on_row(session.id, TaskContext()):
        raise GitError("Cannot clone")
    assert rig.session(session.id) == session


def test_clone_of_a_session_and_of_its_clone_in_the_trash(
    rig: Rig, repository: SessionRepository, session: Session, tmp_path: Path
) -> None:
    clone = repository.clone_of(session)
    assert clone.work_dir == Path(session.work_dir)
    assert clone.base == rig.relay.data_dir.base(session.project_id)
    assert (clone.branch, clone.base_branch, clone.name) == (session.branch, session.base_branch, session.name)
    assert repository.clone_of(session, tmp_path / "trashed").work_dir == tmp_path / "trashed"
