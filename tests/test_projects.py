"""Projects: what a form may ask for, cloning, its failures and its cancel, secrets, removing; the facade over it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import MappingProxyType

import pytest
from fakes import SOURCE, Rig, build
from waiting import wait_until

from relay_tui.config import Config, Profile
from relay_tui.domain.errors import (
    CancelledError,
    ConflictError,
    EngineError,
    GitError,
    InvalidInputError,
    NameTakenError,
    NotFoundError,
)
from relay_tui.domain.events import JobProgressed, RecordsChanged
from relay_tui.domain.models import CloneState, Project, SessionState
from relay_tui.ports.task import TaskContext
from relay_tui.services.projects import NewProject

SECRET = "s3cret-w0rd"
WITH_SECRET = f"https://ada:{SECRET}@host.example/team/alpha.git"
REFUSED = GitError("Cannot clone the repository", "fatal: Authentication failed", "Check the password.")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A relay over an empty data dir."""
    profiles = MappingProxyType({"default": Profile(name="default"), "node": Profile(name="node", image="node:22")})
    return build(tmp_path / "data", config=Config(path=tmp_path / "config.toml", profiles=profiles))


def everything_kept(rig: Rig) -> bytes:
    """The bytes of every file in the data dir."""
    return b"".join(path.read_bytes() for path in rig.root.rglob("*") if path.is_file())


def failed(rig: Rig, source: str = SOURCE) -> Project:
    """A project whose clone failed."""
    rig.git.failures["clone_base"] = REFUSED
    project = rig.relay.add_project(NewProject(source=source))
    rig.idle()
    rig.git.failures.clear()
    return rig.project(project.id)


# --- what may be asked for ---


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"source": ""}, "source"),
        ({"source": "--upload-pack=x"}, "source"),
        ({"source": "ext::sh -c x"}, "source"),
        ({"source": "/no/such/repository"}, "source"),
        ({"branch": "-x"}, "branch"),
        ({"name": "a/b"}, "name"),
        ({"name": "ALPHA"}, "name"),
        ({"profile": "nope"}, "profile"),
    ],
)
def test_a_mistake_names_its_field_and_nothing_is_recorded(rig: Rig, wanted: dict[str, str], field: str) -> None:
    rig.ready()
    with pytest.raises((InvalidInputError, NameTakenError)) as caught:
        rig.relay.add_project(NewProject(**({"source": SOURCE} | wanted)))
    assert getattr(caught.value, "field", "") == field
    assert [project.name for project in rig.relay.store.read().live_projects()] == ["alpha"]
    assert not rig.relay.jobs.running()


def test_a_name_is_suggested_after_the_source_and_is_free(rig: Rig) -> None:
    assert rig.ready().name == "alpha"
    assert rig.ready().name == "alpha-2"
    assert rig.relay.projects.suggest_name("git@host.example:team/We ird!.git") == "We-ird"


# --- the clone ---


def test_the_first_session_is_built_by_itself_with_the_projects_defaults(rig: Rig) -> None:
    project = rig.relay.add_project(NewProject(source=SOURCE, branch="dev", profile="node"))
    wait_until(lambda: [s.state for s in rig.live(project)] == [SessionState.RUNNING])
    rig.idle()
    assert rig.project(project.id).clone_state is CloneState.READY
    (session,) = rig.live(project)
    assert (session.branch, session.image, session.profile) == ("dev", "node:22", "node")
    assert rig.engine.of(session).status == "running"
    told = [event.job for event in rig.events if isinstance(event, JobProgressed) and event.job.subject == project.id]
    assert ("Receiving objects", 0.42, "12.0 MiB at 3.5 MiB/s") in [(j.stage, j.fraction, j.detail) for j in told]
    assert [(event.fault, event.cancelled) for event in rig.ended()] == [(None, False)] * 2


def test_a_ready_project_is_never_seen_without_a_session(rig: Rig) -> None:
    seen: list[int] = []

    def look(_: object) -> None:
        records = rig.relay.store.read()
        ready = [p for p in records.live_projects() if p.clone_state is CloneState.READY]
        seen.extend(len(records.live_sessions(p.id)) for p in ready)

    rig.relay.bus.subscribe(look)
    rig.ready()
    assert seen
    assert min(seen) == 1


def test_a_failed_clone_keeps_gits_words_and_can_be_tried_again(rig: Rig) -> None:
    project = failed(rig)
    assert (project.clone_state, project.clone_error) == (CloneState.ERROR, REFUSED.fault)
    assert rig.live() == []
    (ended,) = rig.ended()
    assert ended.fault == REFUSED.fault
    rig.relay.retry_project(project)
    wait_until(lambda: [s.state for s in rig.live()] == [SessionState.RUNNING])
    rig.idle()
    ready = rig.project(project.id)
    assert (ready.clone_state, ready.clone_error) == (CloneState.READY, None)


def test_a_branch_that_is_not_upstream_is_said_on_the_row(rig: Rig) -> None:
    project = rig.relay.projects.register(NewProject(source=SOURCE, branch="develop"))
    with pytest.raises(InvalidInputError):
        rig.relay.projects.clone(project.id, TaskContext())
    error = rig.project(project.id).clone_error
    assert error is not None
    assert "no branch 'develop'" in error.title
    assert rig.live() == []


def test_another_source_can_be_tried(rig: Rig) -> None:
    project = failed(rig)
    rig.relay.retry_project(project, "https://ada:pw@other.example/alpha.git")
    rig.idle()
    assert rig.project(project.id).source == "https://other.example/alpha.git"
    assert [(s.url, s.password) for s in rig.git.sources] == [(SOURCE, ""), ("https://other.example/alpha.git", "pw")]
    with pytest.raises(InvalidInputError):
        rig.relay.projects.retry(project.id, "--bad")


def test_a_clone_that_is_there_is_not_made_again(rig: Rig) -> None:
    project = rig.ready()
    with pytest.raises(ConflictError, match="cloned already"):
        rig.relay.retry_project(project)
    with pytest.raises(ConflictError, match="cloned already"):
        rig.relay.projects.clone(project.id, TaskContext())
    assert rig.project(project.id) == project


def test_a_cancelled_clone_leaves_nothing(rig: Rig) -> None:
    rig.git.gates["clone_base"] = threading.Event()
    project = rig.relay.add_project(NewProject(source=WITH_SECRET))
    wait_until(lambda: "clone_base" in rig.git.calls)
    assert rig.relay.jobs.cancel(project.id)
    rig.idle()
    (ended,) = rig.ended()
    assert (ended.cancelled, ended.fault) == (True, None)
    assert project.id not in rig.relay.store.read().projects
    assert not rig.relay.data_dir.project(project.id).exists()
    assert not list(rig.relay.data_dir.tmp.iterdir())


def test_quitting_keeps_the_row_and_the_next_relay_goes_on_by_itself(rig: Rig) -> None:
    rig.git.gates["clone_base"] = threading.Event()
    project = rig.relay.add_project(NewProject(source=SOURCE))
    wait_until(lambda: "clone_base" in rig.git.calls)
    rig.relay.close()
    left = rig.project(project.id)
    assert (left.clone_state, left.clone_error) == (CloneState.CLONING, None)
    next_one = build(rig.root)
    next_one.relay.start()
    wait_until(lambda: [s.state for s in next_one.live()] == [SessionState.RUNNING])
    next_one.idle()
    next_one.relay.close()


def test_only_what_nobody_works_on_is_gone_on_with(rig: Rig) -> None:
    killed, at_work = (
        Project(id=name, name=name, source=SOURCE, clone_state=CloneState.CLONING) for name in ("killed", "at-work")
    )
    rig.put(killed, at_work)
    with rig.locks.hold(at_work.id, "relay project add"):
        rig.relay.start()
        wait_until(lambda: [s.state for s in rig.live(killed)] == [SessionState.RUNNING])
        assert rig.project(at_work.id) == at_work
    rig.idle()
    rig.relay.close()


# --- secrets ---


def test_a_secret_reaches_git_and_is_kept_nowhere(rig: Rig) -> None:
    project = failed(rig, WITH_SECRET)
    rig.relay.retry_project(project)  # the same relay still knows it
    rig.idle()
    assert [(s.username, s.password) for s in rig.git.sources] == [("ada", SECRET)] * 2
    assert rig.project(project.id).source == SOURCE
    assert SECRET.encode() not in everything_kept(rig)
    assert SECRET not in repr((rig.relay, vars(rig.relay.projects), rig.events, rig.git.sources))


def test_another_relay_does_not_know_the_secret(rig: Rig) -> None:
    project = failed(rig, WITH_SECRET)
    next_one = build(rig.root)
    next_one.relay.retry_project(project)
    next_one.idle()
    assert [(s.url, s.password) for s in next_one.git.sources] == [(SOURCE, "")]


# --- removing ---


def test_removing_takes_everything_and_frees_the_name(rig: Rig) -> None:
    project, other = rig.ready(), rig.ready(name="other")
    rig.running(project)
    rig.relay.remove_project(project)
    rig.idle()
    assert [p.name for p in rig.relay.store.read().live_projects()] == ["other"]
    assert [s.project_id for s in rig.live()] == [other.id]
    assert [c.spec.labels["relay.project"] for c in rig.engine.containers.values()] == [other.id]
    assert not rig.relay.data_dir.project(project.id).exists()
    trashed = {path.name.split("-")[0] for path in rig.relay.data_dir.trash.iterdir()}
    gone = {s.id for s in rig.relay.store.read().sessions.values() if s.deleted_at}
    assert trashed == gone | {project.id}
    assert rig.relay.projects.suggest_name(SOURCE) == "alpha"
    with pytest.raises(NotFoundError):
        rig.relay.projects.remove(project.id, TaskContext())


def test_a_removal_that_the_engine_stops_half_way_says_where_and_goes_on_later(rig: Rig) -> None:
    project = rig.ready()
    first, second = rig.live()[0], rig.running(project)
    removed: list[str] = []
    remove = rig.engine.remove

    def only_one(container_id: str) -> None:
        if removed:
            raise EngineError("The container cannot be removed", "device or resource busy")
        removed.append(container_id)
        remove(container_id)

    rig.engine.remove = only_one  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        rig.relay.projects.remove(project.id, TaskContext())
    assert rig.session(first.id).deleted_at is not None
    stuck = rig.session(second.id)
    assert (stuck.state, stuck.deleted_at) == (SessionState.ERROR, None)
    assert stuck.error_reason is not None
    assert stuck.error_reason.detail == "device or resource busy"
    assert (Path(stuck.work_dir) / ".git").is_dir()
    assert rig.project(project.id).deleted_at is None
    assert rig.relay.data_dir.base(project.id).is_dir()
    rig.engine.remove = remove  # type: ignore[method-assign]
    rig.relay.projects.remove(project.id, TaskContext())
    assert rig.live() == []
    assert not rig.engine.containers
    assert not rig.relay.data_dir.project(project.id).exists()


# --- more than one relay, more than one wish ---


def test_a_second_relay_names_who_is_at_work_and_leaves_the_row_alone(rig: Rig) -> None:
    second = build(rig.root, engine=rig.engine)
    rig.git.gates["clone_base"] = threading.Event()
    project = rig.relay.add_project(NewProject(source=SOURCE))
    wait_until(lambda: "clone_base" in rig.git.calls)
    second.relay.clone(rig.project(project.id))
    second.idle()
    (ended,) = second.ended()
    assert ended.fault is not None
    assert ended.fault.kind == "conflict"
    assert "cloning a project" in ended.fault.detail
    assert str(os.getpid()) in ended.fault.detail
    assert rig.project(project.id).clone_state is CloneState.CLONING
    assert "clone_base" not in second.git.calls
    rig.git.gates["clone_base"].set()
    wait_until(lambda: [s.state for s in second.live()] == [SessionState.RUNNING])  # it sees what the first one did
    rig.idle()


def test_a_project_that_is_cloned_by_this_relay_is_not_begun_twice(rig: Rig) -> None:
    rig.git.gates["clone_base"] = threading.Event()
    project = rig.relay.add_project(NewProject(source=SOURCE))
    with pytest.raises(ConflictError):
        rig.relay.retry_project(project)
    with pytest.raises(ConflictError, match="Still busy: Cloning alpha"):
        rig.relay.remove_project(project)
    assert rig.project(project.id).clone_state in {CloneState.PENDING, CloneState.CLONING}
    rig.relay.jobs.cancel(project.id)
    rig.idle()


def test_a_cancel_that_comes_first_is_obeyed(rig: Rig) -> None:
    project = rig.relay.projects.register(NewProject(source=SOURCE))
    rig.git.gates["clone_base"] = threading.Event()
    task = TaskContext()
    task.cancel()
    with pytest.raises(CancelledError):
        rig.relay.projects.clone(project.id, task)
    assert project.id not in rig.relay.store.read().projects


def test_what_another_relay_writes_is_announced(rig: Rig) -> None:
    rig.relay.start()
    rig.put(Project(id="p0", name="first", source=SOURCE, clone_state=CloneState.READY))
    wait_until(lambda: RecordsChanged() in rig.events)
    before = len(rig.events)
    build(rig.root).put(Project(id="p1", name="elsewhere", source=SOURCE, clone_state=CloneState.READY))
    wait_until(lambda: RecordsChanged() in rig.events[before:])
    rig.relay.close()
