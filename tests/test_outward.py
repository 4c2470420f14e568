"""Saving and pushing as a use case: permissions, notifications and refusals, over fakes of git and the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Rig, build
from fakes_work import COMMIT

from relay_tui.domain.errors import ConflictError, GitError, InvalidInputError, NotFoundError, RelayError
from relay_tui.domain.events import ProjectFetched, PushPlanned, SessionUpdated, WorkPushed, WorkSaved
from relay_tui.domain.models import Project, Session
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind, SaveMethod
from relay_tui.ports import CloneSource, ExecResult
from relay_tui.ports.task import TaskContext
from relay_tui.services.removal import UnsavedWorkError

DIRTY = Risk(hazard=RiskKind.DIRTY, count=2, examples=("a", "b"))
UNPUSHED = Risk(hazard=RiskKind.UNPUSHED, count=1, branch="topic", examples=("c0ffee Work",))
STASHED = Risk(hazard=RiskKind.STASHED, count=1)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A relay with nothing in it."""
    rig = build(tmp_path / "data")
    yield rig
    rig.relay.close()


@pytest.fixture
def project(rig: Rig) -> Project:
    """A project with one session, `main`."""
    return rig.ready()


@pytest.fixture
def session(rig: Rig, project: Project) -> Session:
    """A second session."""
    return rig.running(project, new_branch="topic")


# --- as jobs ---------------------------------------------------------------------------------------------------------


def test_each_is_a_job_that_tells_what_came_of_it(rig: Rig, project: Project, session: Session) -> None:
    relay = rig.relay
    relay.plan_push(session)
    rig.idle()
    relay.push(session, rig.way_out.plan)
    relay.fetch_project(project)
    rig.idle()
    relay.update_session(session)
    rig.idle()
    relay.rescue(session, SaveMethod.KEEP)
    rig.idle()
    told = [event for event in rig.events if not isinstance(event, type(rig.events[0]))]
    planned = next(event for event in told if isinstance(event, PushPlanned))
    assert (planned.session_id, planned.plan) == (session.id, rig.way_out.plan)
    pushed = next(event for event in told if isinstance(event, WorkPushed))
    assert pushed.pushed.links == ("https://host.example/team/alpha/pull/new/topic",)
    assert any(isinstance(event, ProjectFetched) and event.changed for event in told)
    updated = next(event for event in told if isinstance(event, SessionUpdated))
    assert (updated.updated.branch, updated.updated.count) == ("main", 2)
    rescued = next(event for event in told if isinstance(event, WorkSaved))
    assert f"relay session export {session.id} --to DIR" in rescued.words
    assert all(ended.fault is None and ended.job.cancellable for ended in rig.ended())


def test_what_is_rescued_may_be_removed_in_one_go(rig: Rig, session: Session) -> None:
    rig.relay.rescue(session, SaveMethod.PUSH, remove=True)
    rig.idle()
    assert rig.way_out.pushed == [rig.way_out.plan]
    assert rig.session(session.id).deleted_at is not None
    assert rig.relay.undo() == session.name


def test_a_rescue_that_fails_removes_nothing(rig: Rig, session: Session) -> None:
    rig.way_out.failures["push"] = GitError("The upstream's hook declined the push", hint="Mend it.")
    rig.relay.rescue(session, SaveMethod.PUSH, remove=True)
    rig.idle()
    assert rig.session(session.id).deleted_at is None
    fault = rig.ended()[-1].fault
    assert fault is not None and fault.title == "The upstream's hook declined the push"


def test_files_that_a_copy_could_not_save_are_not_removed(rig: Rig, session: Session) -> None:
    rig.look.of(session.id).guarded = RemovalCheck(risks=(DIRTY, UNPUSHED))
    rig.relay.rescue(session, SaveMethod.KEEP, remove=True)
    rig.idle()
    fault = rig.ended()[-1].fault
    assert fault is not None and fault.kind == "unsaved-work"
    assert rig.session(session.id).deleted_at is None
    ignored = Risk(hazard=RiskKind.IGNORED, count=1, size=1 << 30)
    rig.look.of(session.id).guarded = RemovalCheck(risks=(ignored, UNPUSHED))
    rig.relay.rescue(session, SaveMethod.KEEP, remove=True)
    rig.idle()
    assert rig.session(session.id).deleted_at is not None


def test_it_can_be_cancelled(rig: Rig, session: Session) -> None:
    rig.way_out.gates["push"] = threading.Event()
    rig.relay.push(session, rig.way_out.plan)
    assert rig.relay.jobs.cancel(session.id)
    rig.idle()
    assert rig.ended()[-1].cancelled and rig.way_out.pushed == []


# --- the project -----------------------------------------------------------------------------------------------------


def test_the_source_has_no_secret(rig: Rig, project: Project, session: Session) -> None:
    rig.relay.sync.fetch_project(project.id, TaskContext())
    rig.relay.sync.plan_push(session.id, TaskContext())
    assert rig.way_out.sources == [CloneSource(project.source)] * 2


def test_a_default_branch_that_is_gone_is_replaced(rig: Rig, project: Project) -> None:
    base = rig.relay.data_dir.base(project.id)
    (base / "heads").write_text("trunk\nmaster")
    changed = rig.relay.sync.fetch_project(project.id, TaskContext())
    assert changed[-1] == "main no longer exists upstream: the project's default branch is now master"
    assert rig.project(project.id).default_branch == "master"


def test_a_project_that_is_not_cloned_has_nothing_to_fetch(rig: Rig, project: Project) -> None:
    rig.put(replace(project, clone_state=type(project.clone_state)("cloning")))
    with pytest.raises(ConflictError, match="not cloned yet"):
        rig.relay.sync.fetch_project(project.id, TaskContext())
    with pytest.raises(NotFoundError):
        rig.relay.sync.fetch_project("nobody", TaskContext())


def test_somebody_at_work_on_it_is_named(rig: Rig, session: Session) -> None:
    with rig.locks.hold(session.id, "testing"), pytest.raises(ConflictError):
        rig.relay.sync.push(session.id, rig.way_out.plan, TaskContext())


# --- update ----------------------------------------------------------------------------------------------------------


def test_an_update_hands_over_what_is_new(rig: Rig, session: Session) -> None:
    updated = rig.relay.sync.update(session.id, TaskContext(), rebase=True)
    assert updated.commit == COMMIT.hash
    asked = [words.partition("-C /workspace ")[2] for words in rig.engine.asked]
    assert asked == [
        "diff --name-only --diff-filter=U -z",
        "rev-parse -q --verify MERGE_HEAD",
        "index-pack --stdin --fix-thin",
        f"update-ref refs/remotes/origin/main {COMMIT.hash}",
        "rebase refs/remotes/origin/main",
    ]


def test_nothing_new_asks_nothing(rig: Rig, session: Session) -> None:
    rig.way_out.news = 0
    assert rig.relay.sync.update(session.id, TaskContext()).count == 0
    assert rig.engine.asked == []


def test_a_git_that_fails_in_there_is_quoted(rig: Rig, session: Session) -> None:
    rig.engine.answers = {"index-pack": ExecResult(128, b"", b"fatal: \x1b[2Jno space\n"), **rig.engine.answers}
    with pytest.raises(GitError) as error:
        rig.relay.sync.update(session.id, TaskContext())
    assert error.value.title == "Cannot send the commits to the container" and "no space" in error.value.detail


# --- export ----------------------------------------------------------------------------------------------------------


def test_not_into_relays_own_directories(rig: Rig, session: Session, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(rig.root)
    for target in (Path(session.work_dir), rig.root / "new", tmp_path / "link/new", tmp_path / "x/../data/new"):
        with pytest.raises(InvalidInputError, match="relay's own directory"):
            rig.relay.sync.export(session, target, TaskContext())
        with pytest.raises(InvalidInputError, match="relay's own directory"):
            rig.relay.sync.bundle(session.id, target, TaskContext())


# --- the guard -------------------------------------------------------------------------------------------------------


def test_a_session_with_unsaved_work_stays(rig: Rig, session: Session) -> None:
    rig.look.of(session.id).guarded = RemovalCheck(risks=(DIRTY, UNPUSHED, STASHED))
    with pytest.raises(UnsavedWorkError) as error:
        rig.relay.removal.remove(session.id, TaskContext())
    assert error.value.exit_code == 4
    assert error.value.detail.splitlines() == [
        "2 changed files: a, b",
        "1 unpushed commit on topic: c0ffee Work",
        "1 stash",
    ]
    assert rig.session(session.id).deleted_at is None
    rig.relay.removal.remove(session.id, TaskContext(), force=True)
    assert rig.session(session.id).deleted_at is not None


@pytest.mark.parametrize("rescue", [SaveMethod.KEEP, SaveMethod.BUNDLE])
def test_a_copy_saves_commits_and_stashes_but_no_files(
    rig: Rig, session: Session, tmp_path: Path, rescue: SaveMethod
) -> None:
    rig.look.of(session.id).guarded = RemovalCheck(risks=(DIRTY, UNPUSHED, STASHED))
    with pytest.raises(UnsavedWorkError) as error:
        rig.relay.removal.remove(session.id, TaskContext(), rescue=rescue, bundle=tmp_path / "a")
    assert error.value.guarded.risks == (DIRTY,)
    assert "\nAlready saved: " in error.value.detail
    rig.look.of(session.id).guarded = RemovalCheck(risks=(UNPUSHED, STASHED))
    rig.relay.removal.remove(session.id, TaskContext(), rescue=rescue, bundle=tmp_path / "b")
    assert rig.session(session.id).deleted_at is not None


def test_why_a_copy_has_not_got_all_is_said(rig: Rig, session: Session) -> None:
    inner = Risk(hazard=RiskKind.UNTRACKED, count=1, examples=("vendor/",))
    rig.look.of(session.id).guarded = RemovalCheck(risks=(inner, Risk(hazard=RiskKind.IGNORED, count=1, size=1 << 30)))
    with pytest.raises(UnsavedWorkError) as error:
        rig.relay.removal.remove(session.id, TaskContext(), rescue=SaveMethod.KEEP)
    assert (
        "Not saved, because it is a separate git repository: vendor/\nIgnored files are not saved."
        in error.value.detail
    )


def test_what_cannot_be_told_counts_as_unsaved(rig: Rig, session: Session) -> None:
    rig.look.failures["guard"] = GitError("What is in the session's clone cannot be told", "HEAD is a pipe.")
    with pytest.raises(UnsavedWorkError) as error:
        rig.relay.removal.remove(session.id, TaskContext(), rescue=SaveMethod.KEEP)
    assert "HEAD is a pipe." in error.value.detail
    assert "--keep" not in error.value.hint and "--push" not in error.value.hint


def test_the_last_session_is_refused_before_anything_is_rescued(rig: Rig, project: Project) -> None:
    (only,) = rig.live(project)
    with pytest.raises(ConflictError, match="the last session"):
        rig.relay.removal.remove(only.id, TaskContext(), rescue=SaveMethod.KEEP)
    assert "keep" not in rig.way_out.calls


def test_a_removal_that_has_begun_goes_on(rig: Rig, session: Session) -> None:
    rig.engine.failures["remove"] = GitError("no", hint="no")
    with pytest.raises(RelayError):
        rig.relay.removal.remove(session.id, TaskContext())
    rig.engine.failures.clear()
    rig.look.of(session.id).guarded = RemovalCheck(risks=(DIRTY,))
    rig.relay.removal.remove(session.id, TaskContext())
    assert rig.session(session.id).deleted_at is not None
