"""Push from a session's base to the upstream: exactly the commits shown before, with the remote's answer reported."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_servers import free_port, git_daemon, http_server, run_git
from session_clones import Ground, lay

from relay_tui.domain.errors import ConflictError, GitError, NotFoundError, RelayError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

TOKEN = "t0ken/with@odd:characters"
ASKS = "remote: \nremote: Create a pull request for 'topic':\nremote:   https://host.example/a/compare?expand=1#topic\n"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """An upstream, its base, and a session on a new branch; no copy is left behind by anything done to it."""
    ground = lay(tmp_path)
    yield ground
    assert list(ground.tmp.iterdir()) == []


def hook(ground: Ground, name: str, script: str) -> None:
    """Plant a hook in the upstream."""
    path = ground.upstream / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def refused(ground: Ground, source: CloneSource | None = None) -> RelayError:
    """Plan a push, then fail to push it."""
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    with pytest.raises(RelayError) as error:
        ground.exit.push(ground.clone, source or ground.source, plan, TaskContext())
    assert error.value.hint, error.value.detail
    return error.value


# --- the plan --------------------------------------------------------------------------------------------------------


def test_a_plan_tells_what_would_go(ground: Ground) -> None:
    ground.work(message="First")
    last = ground.work("b.txt", message="Second")
    ground.upstream_moves()
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    assert (plan.remote, plan.branch, plan.commit) == (str(ground.upstream), "topic", last)
    assert (plan.count, plan.new_branch, plan.diverged) == (2, True, False)
    assert [commit.subject for commit in plan.commits] == ["Second", "First"]


def test_of_a_branch_that_the_upstream_has(ground: Ground) -> None:
    ground.git("switch", "--quiet", "main")
    ground.work()
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    assert (plan.branch, plan.count, plan.new_branch, plan.diverged) == ("main", 1, False, False)
    ground.upstream_moves()
    assert ground.exit.plan_push(ground.clone, ground.source, TaskContext()).diverged


def test_what_cannot_be_pushed_is_said(ground: Ground) -> None:
    with pytest.raises(NotFoundError, match="no commit on nowhere"):
        ground.exit.plan_push(ground.clone, ground.source, TaskContext(), branch="nowhere")
    ground.git("checkout", "--quiet", "--detach")
    with pytest.raises(ConflictError, match="on no branch"):
        ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    assert ground.exit.plan_push(ground.clone, ground.source, TaskContext(), branch="topic").branch == "topic"


# --- the push --------------------------------------------------------------------------------------------------------


def test_exactly_what_was_planned_goes(ground: Ground) -> None:
    planned = ground.work()
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    ground.work("later.txt")
    hook(ground, "post-receive", f"printf '%s' \"{ASKS.replace('remote: ', '')}\" >&2")
    pushed = ground.exit.push(ground.clone, ground.source, plan, TaskContext())
    assert (pushed.branch, pushed.commit, ground.head("topic")) == ("topic", planned, planned)
    assert pushed.said == (
        "Create a pull request for 'topic':",
        "  https://host.example/a/compare?expand=1#topic",
    )
    assert pushed.links == ("https://host.example/a/compare?expand=1#topic",)
    assert ground.head("topic", ground.clone.base) == planned
    again = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    assert (again.count, again.new_branch, again.diverged) == (1, False, False)


def test_the_users_own_hooks_and_settings_stay_out_of_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, hooks = ground.root / "mark", ground.root / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "post-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >>{mark}\n")
        (hooks / name).chmod(0o755)
    settings = ground.root / "gitconfig"
    settings.write_text(f"[core]\n\thooksPath = {hooks}\n[push]\n\tfollowTags = true\n\tgpgSign = false\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    ground.work()
    ground.git("tag", "-a", "-m", "annotated", "t1")
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    ground.exit.push(ground.clone, ground.source, plan, TaskContext())
    assert not mark.exists()
    assert run_git("tag", cwd=ground.upstream) == "v1"


def test_with_the_hosts_credentials_over_http(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential helper of the user's, as for any other git of theirs."""
    ground.work()
    with http_server(ground.root, username="ada", password=TOKEN) as server:
        helper = ground.root / "helper"
        helper.write_text(f'#!/bin/sh\ntest "$1" = get && printf "username=ada\\npassword=%s\\n" "{TOKEN}"\n')
        helper.chmod(0o755)
        settings = ground.root / "gitconfig"
        settings.write_text(f"[credential]\n\thelper = {helper}\n")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        source = CloneSource(f"{server.url}/upstream.git")
        plan = ground.exit.plan_push(ground.clone, source, TaskContext())
        assert ground.exit.push(ground.clone, source, plan, TaskContext()).commit == ground.head("topic")


def test_with_a_login_that_is_lent_over_http(ground: Ground) -> None:
    ground.work()
    with http_server(ground.root, username="ada", password=TOKEN) as server:
        source = CloneSource(f"{server.url}/upstream.git", username="ada", password=TOKEN)
        plan = ground.exit.plan_push(ground.clone, source, TaskContext())
        assert TOKEN not in repr(plan)
        assert ground.exit.push(ground.clone, source, plan, TaskContext()).commit == ground.head("topic")


def test_with_the_hosts_ssh_which_is_never_asked_anything(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own ssh, with its agent and its keys; here one that runs the far side's command itself."""
    log, ssh = ground.root / "log", ground.root / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{log}\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    ground.work()
    source = CloneSource(f"ssh://git@host.example{ground.upstream}")
    plan = ground.exit.plan_push(ground.clone, source, TaskContext())
    assert ground.exit.push(ground.clone, source, plan, TaskContext()).commit == ground.head("topic")
    said = log.read_text().splitlines()
    assert [("git-receive-pack" in line, "-o BatchMode=yes" in line) for line in said] == [(False, True), (True, True)]


def test_progress_is_told_and_obeys(ground: Ground) -> None:
    stages: list[str] = []
    for number in range(30):
        (ground.clone.work_dir / f"{number}").write_text(str(number))
    ground.work()
    ground.git("add", "-A")
    ground.git("commit", "--quiet", "-m", "many")
    task = TaskContext(lambda stage, *_: stages.append(stage))
    plan = ground.exit.plan_push(ground.clone, ground.source, task)
    ground.exit.push(ground.clone, ground.source, plan, task)
    assert stages.index("Copying the session's objects") < stages.index("Checking the session's objects")
    assert stages.index("Checking the session's objects") < stages.index("Connecting")
    assert "Writing objects" in stages
    assert not {"Working", "Counting on the remote side"} & set(stages[stages.index("Connecting") :])


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_branch_that_moved_on(ground: Ground) -> None:
    ground.git("switch", "--quiet", "main")
    ground.work()
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    news = ground.upstream_moves()
    with pytest.raises(ConflictError) as error:
        ground.exit.push(ground.clone, ground.source, plan, TaskContext())
    assert error.value.title == "The upstream's main has commits that the session lacks"
    assert "{update}" in error.value.hint
    assert ground.head("main") == news


def test_a_hook_that_declines(ground: Ground) -> None:
    ground.work()
    hook(ground, "pre-receive", "echo 'Ticket number missing in: Some work' >&2; exit 1")
    error = refused(ground)
    assert error.title == "The upstream's hook declined the push"
    assert error.detail == "Ticket number missing in: Some work\npre-receive hook declined"
    assert ground.in_base("for-each-ref", "refs/heads/topic") == ""


def test_a_protected_branch(ground: Ground) -> None:
    ground.work()
    hook(ground, "update", "echo 'error: GH006: Protected branch update failed for refs/heads/topic.' >&2; exit 1")
    error = refused(ground)
    assert error.title == "The upstream protects its branch topic"
    assert "GH006" in error.detail and "git switch -c" in error.hint


def test_a_branch_that_is_checked_out(ground: Ground) -> None:
    ground.git("switch", "--quiet", "main")
    ground.work()
    error = refused(ground, CloneSource(str(ground.other)))
    assert error.title == "The upstream is a working repository that has main checked out"
    assert "relay session export" in error.hint


def test_no_permission(ground: Ground) -> None:
    ground.work()
    with http_server(ground.root) as server:  # writing needs a user name
        error = refused(ground, CloneSource(f"{server.url}/upstream.git"))
    assert error.title == "You may not push to this repository"
    assert "403" in error.detail
    with git_daemon(ground.root) as url:
        error = refused(ground, CloneSource(f"{url}/upstream.git"))
    assert error.title == "You may not push to this repository"


def test_a_wrong_login_is_not_quoted(ground: Ground) -> None:
    ground.work()
    with http_server(ground.root, username="ada", password=TOKEN) as server:
        source = CloneSource(f"{server.url}/upstream.git", username="ada", password="wr0ng-t0ken")
        error = refused(ground, source)
        assert error.title == "Wrong user name or password"
        nobody = refused(ground, CloneSource(f"{server.url}/upstream.git"))
        assert nobody.title == "The server asks for a user name and password"
    assert "wr0ng-t0ken" not in f"{error.title} {error.detail} {error.hint}"


def test_nobody_there(ground: Ground) -> None:
    ground.work()
    error = refused(ground, CloneSource(f"http://127.0.0.1:{free_port()}/upstream.git"))
    assert isinstance(error, GitError)
    assert error.title == "The server refuses the connection"


def test_what_the_remote_says_is_kept_apart_from_gits_own_words(ground: Ground) -> None:
    ground.work()
    hook(ground, "pre-receive", "printf '\\033]52;c;AAAA\\007 see https://u:p4ss@host.example/x. now' >&2; exit 1")
    error = refused(ground)
    assert "p4ss" not in error.detail
    assert error.title == "The upstream's hook declined the push"


def test_killed_while_it_pushes_it_leaves_nothing(ground: Ground) -> None:
    hook(ground, "pre-receive", "exec sleep 30")
    ground.work()
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    task = TaskContext(lambda stage, *_: task.cancel() if stage == "Writing objects" else None)
    with pytest.raises(RelayError) as error:
        ground.exit.push(ground.clone, ground.source, plan, task)
    assert error.value.kind == "cancelled"
    listed = subprocess.run(["git", "for-each-ref", "refs/heads/topic"], cwd=ground.upstream, capture_output=True)
    assert listed.stdout == b""
