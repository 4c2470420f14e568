"""Cloning for real: from servers on loopback into bases, from bases into sessions."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from git_servers import black_hole, free_port, git_daemon, http_server, make_repository, run_git

from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.credentials import provide_credentials
from relay_tui.domain.errors import CancelledError, FileSystemError, GitError, InvalidInputError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_CHANCE = secrets.token_hex(6)  # other processes of this machine must not hold these words by accident
TOKEN = f"token-{_CHANCE}"
SECRET = f"word-{_CHANCE}/%ü"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's git configuration: empty, and writable by a test."""
    path = tmp_path / "gitconfig"
    path.write_text("")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return path


@pytest.fixture
def adapter() -> GitAdapter:
    return GitAdapter()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data dir"
    path.mkdir()
    return path


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "up/my repo", branches=("main", "fix/a", "zz"), tags=("v1",))


@dataclass
class Told:
    """Record of the progress reports of a task."""

    reports: list[tuple[str, float | None, str]] = field(default_factory=list)

    def __call__(self, stage: str, fraction: float | None, detail: str) -> None:
        self.reports.append((stage, fraction, detail))

    def stages(self) -> list[str]:
        return list(dict.fromkeys(stage for stage, _, _ in self.reports))


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def entries(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


def processes_with(word: str) -> list[str]:
    """Command lines and environments of this machine's processes that contain `word`, our own aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    text = (entry / name).read_bytes().replace(b"\0", b" ")
                except OSError:
                    continue
                if word.encode() in text:
                    found.append(text.decode(errors="replace"))
    return found


def files_with(directory: Path, *words: str) -> list[Path]:
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in paths if any(word.encode() in path.read_bytes() for word in words)]


# --- base clones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "file", "git", "http"])
def test_a_base_has_every_head_and_tag(adapter: GitAdapter, upstream: Path, data: Path, kind: str) -> None:
    with git_daemon(upstream.parent) as daemon, http_server(upstream.parent) as http:
        text = {
            "path": str(upstream),
            "file": f"file://{upstream}".replace(" ", "%20"),
            "git": f"{daemon}/my%20repo",
            "http": f"{http.url}/my%20repo/.git",
        }[kind]
        source = adapter.parse_source(text)
        assert adapter.clone_base(source, data / "base.git", TaskContext()) == "main"
        base = data / "base.git"
        assert entries(data) == ["base.git"]
        assert [branch.name for branch in adapter.branches(base)] == ["zz", "fix/a", "main"]
        assert run_git("config", "--get-all", "remote.origin.fetch", cwd=base) == "+refs/heads/*:refs/heads/*"
        assert run_git("config", "remote.origin.url", cwd=base) == source.url
        assert run_git("config", "core.bare", cwd=base) == "true"
        assert run_git("tag", cwd=base) == "v1"
    assert not [path for path in base.rglob("*") if path.is_file() and path.stat().st_nlink > 1]


def test_branches_tell_commit_time_and_subject(adapter: GitAdapter, upstream: Path) -> None:
    newest = adapter.branches(upstream / ".git")[0]
    assert (newest.name, newest.subject, newest.committed_at) == ("zz", "Work on zz", "2023-11-14T22:13:22Z")
    assert newest.commit == run_git("rev-parse", "zz", cwd=upstream)


def test_progress_tells_stages_bytes_and_throughput(adapter: GitAdapter, tmp_path: Path, data: Path) -> None:
    files = {f"f{number}": noise(700_000 + number) for number in range(4)}
    make_repository(tmp_path / "up/big", files=files, branches=("main", "other"))
    told = Told()
    with http_server(tmp_path / "up", bytes_per_second=3_000_000) as http:
        adapter.clone_base(CloneSource(f"{http.url}/big/.git"), data / "base.git", TaskContext(told))
    assert told.stages()[0] == "Connecting"
    assert "Counting on the remote side" in told.stages()
    receiving = [report for report in told.reports if report[0] == "Receiving objects"]
    assert receiving[-1][1] == 1.0
    assert any("MiB at" in detail and detail.endswith("/s") for _, _, detail in receiving)
    assert [fraction for _, fraction, _ in receiving] == sorted(fraction or 0 for _, fraction, _ in receiving)


def test_a_secret_is_nowhere_while_it_works_and_nowhere_after(
    adapter: GitAdapter, tmp_path: Path, data: Path, config: Path
) -> None:
    make_repository(tmp_path / "up/x", files={"big": noise(300_000)})
    store = tmp_path / "stored"
    with http_server(tmp_path / "up", username=TOKEN, password=SECRET, hold_after=20_000) as http:
        helper = f"\thelper = store --file={store}\n"
        config.write_text(f'[credential]\n{helper}[credential "{http.url}"]\n{helper}')
        source = adapter.parse_source(http.login("x/.git"))
        cloning = threading.Thread(target=adapter.clone_base, args=(source, data / "base.git", TaskContext()))
        cloning.start()
        until(http.holding.is_set)
        words = (TOKEN, f"word-{_CHANCE}")
        assert processes_with(f"{http.url}/x/.git")
        assert [found for word in words for found in processes_with(word)] == []
        assert files_with(tmp_path / "data dir", *words) == []
        http.release()
        cloning.join()
    assert adapter.branches(data / "base.git")
    assert files_with(data, *words) == []
    assert not store.exists()
    assert [name for name in os.listdir("/proc/self/fd") if "memfd:relay" in _link(name)] == []  # noqa: PTH208


def _link(name: str) -> str:
    try:
        return str(Path("/proc/self/fd", name).readlink())
    except OSError:
        return ""


def test_logins_that_fail_say_which_way(adapter: GitAdapter, upstream: Path, data: Path) -> None:
    with http_server(upstream.parent, username="ada", password=SECRET) as http:
        url = f"{http.url}/my%20repo/.git"
        with pytest.raises(GitError, match="asks for a user name and password") as caught:
            adapter.clone_base(adapter.parse_source(url), data / "base.git", TaskContext())
        assert "https://user:TOKEN@host" in caught.value.hint
        wrong = adapter.parse_source(http.login("my%20repo/.git", password="wrong-pass-word"))
        with pytest.raises(GitError, match="Wrong user name or password") as caught:
            adapter.clone_base(wrong, data / "base.git", TaskContext())
        assert http.url in caught.value.detail
        assert "wrong-pass-word" not in str(caught.value.fault)
    assert entries(data) == []


def test_a_user_name_alone_is_a_token_or_one_that_a_helper_knows(
    adapter: GitAdapter, upstream: Path, data: Path, config: Path
) -> None:
    with http_server(upstream.parent, username="t0ken", password="") as http:
        source = adapter.parse_source(f"{http.url}/my%20repo/.git".replace("://", "://t0ken@"))
        adapter.clone_base(source, data / "token.git", TaskContext())
    with http_server(upstream.parent, username="ada", password="known") as http:
        config.write_text("[credential]\n\thelper = \"!printf 'username=ada\\\\npassword=known\\\\n' #\"\n")
        source = adapter.parse_source(f"{http.url}/my%20repo/.git".replace("://", "://ada@"))
        adapter.clone_base(source, data / "helper.git", TaskContext())
    assert entries(data) == ["helper.git", "token.git"]


def test_a_secret_is_not_given_to_another_host(upstream: Path) -> None:
    with http_server(upstream.parent, username="ada", password=SECRET) as http:
        source = CloneSource(f"{http.url}/my%20repo/.git", "ada", SECRET)
        elsewhere = CloneSource(f"http://127.0.0.1:{free_port()}/x", "ada", SECRET)
        with provide_credentials(elsewhere) as loan:
            done = subprocess.run(
                ("git", *loan.options, "ls-remote", source.url),
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": ""},
                pass_fds=loan.descriptors,
                capture_output=True,
            )
    assert b"could not read Username" in done.stderr


def test_cancel_ends_every_process_and_leaves_nothing(adapter: GitAdapter, tmp_path: Path, data: Path) -> None:
    make_repository(tmp_path / "up/x", files={"big": noise(300_000)})
    task = TaskContext()
    raised: list[BaseException] = []
    with http_server(tmp_path / "up", hold_after=20_000) as http:

        def clone() -> None:
            try:
                adapter.clone_base(CloneSource(f"{http.url}/x/.git"), data / "projects/p/base.git", task)
            except CancelledError as error:
                raised.append(error)

        cloning = threading.Thread(target=clone)
        cloning.start()
        until(http.holding.is_set)
        assert entries(data / "projects/p")[0].startswith("base.git.partial-")
        task.cancel()
        cloning.join(10)
        assert raised and not cloning.is_alive()
        assert processes_with(f"{http.url}/x/.git") == []
    assert not (data / "projects/p").exists()


def test_cancel_works_on_a_server_that_never_answers(adapter: GitAdapter, data: Path) -> None:
    task = TaskContext()
    with black_hole() as port:
        url = f"git://127.0.0.1:{port}/x"

        def cancel_once_it_runs() -> None:
            until(lambda: bool(processes_with(url)))
            task.cancel()

        timer = threading.Thread(target=cancel_once_it_runs)
        timer.start()
        with pytest.raises(CancelledError):
            adapter.clone_base(CloneSource(url), data / "base.git", task)
        timer.join()
    with pytest.raises(CancelledError):
        adapter.clone_base(CloneSource(url), data / "base.git", task)
    assert entries(data) == []


def test_failures_are_told_apart_and_leave_nothing(adapter: GitAdapter, tmp_path: Path, data: Path) -> None:
    make_repository(tmp_path / "up/empty", branches=())
    (tmp_path / "up/plain").mkdir()
    port = free_port()
    with git_daemon(tmp_path / "up") as daemon, http_server(tmp_path / "up") as http:
        cases = {
            str(tmp_path / "up/plain"): "no git repository",
            f"{daemon}/nothing": "no git repository",
            f"{http.url}/nothing": "no git repository",
            str(tmp_path / "up/empty"): "has no commits",
            f"{http.url}/empty/.git": "has no commits",
            f"git://127.0.0.1:{port}/x": "refuses the connection",
            f"http://127.0.0.1:{port}/x": "refuses the connection",
        }
        for url, title in cases.items():
            with pytest.raises(GitError, match=title) as caught:
                adapter.clone_base(adapter.parse_source(url), data / "base.git", TaskContext())
            assert caught.value.hint and caught.value.detail
            assert entries(data) == []


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs an ssh client")
def test_ssh_fails_instead_of_asking(adapter: GitAdapter, data: Path) -> None:
    with pytest.raises(GitError, match="refuses the connection"):
        adapter.clone_base(CloneSource(f"ssh://git@127.0.0.1:{free_port()}/x"), data / "base.git", TaskContext())


def test_the_place_must_be_free_and_writable(adapter: GitAdapter, upstream: Path, data: Path) -> None:
    (data / "base.git").write_text("mine")
    with pytest.raises(FileSystemError, match="not an empty directory"):
        adapter.clone_base(CloneSource(str(upstream)), data / "base.git", TaskContext())
    with pytest.raises(FileSystemError):
        adapter.clone_base(CloneSource(str(upstream)), data / "base.git/below/it", TaskContext())
    assert (data / "base.git").read_text() == "mine"


@pytest.mark.parametrize(("head", "expected"), [("unborn", "main"), ("detached", "main"), ("zz", "zz")])
def test_the_default_branch_is_a_real_one(
    adapter: GitAdapter, upstream: Path, data: Path, head: str, expected: str
) -> None:
    if head == "detached":
        run_git("checkout", "--quiet", "--detach", cwd=upstream)
    else:
        run_git("symbolic-ref", "HEAD", f"refs/heads/{head}", cwd=upstream)
    assert adapter.clone_base(CloneSource(str(upstream)), data / "base.git", TaskContext()) == expected
    assert run_git("symbolic-ref", "HEAD", cwd=data / "base.git") == f"refs/heads/{expected}"


def test_without_main_or_master_the_first_head_is_the_default(adapter: GitAdapter, tmp_path: Path, data: Path) -> None:
    repository = make_repository(tmp_path / "x", branches=("b", "a"))
    run_git("checkout", "--quiet", "--detach", cwd=repository)
    run_git("commit", "--quiet", "--allow-empty", "--message=On no branch", cwd=repository)
    assert adapter.clone_base(CloneSource(str(repository)), data / "base.git", TaskContext()) == "a"
    assert run_git("symbolic-ref", "HEAD", cwd=data / "base.git") == "refs/heads/a"


def _full_disk(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script with a disk of 600 kB at `tmp_path`/disk, in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    namespace = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    probe = subprocess.run((*namespace, "mount", "-t", "tmpfs", "none", str(disk)), capture_output=True)
    if probe.returncode:
        pytest.skip("this machine does not allow a mount namespace")
    mount = 'mount -t tmpfs -o size=600k none "$0" && exec "$1" -c "$2" "$0"'
    return subprocess.run(
        (*namespace, "sh", "-c", mount, str(disk), sys.executable, script), capture_output=True, text=True
    )


def test_a_full_disk_is_never_gits_fault(adapter: GitAdapter, tmp_path: Path) -> None:
    upstream = make_repository(tmp_path / "up", files={f"f{number}": noise(200_000 + number) for number in range(8)})
    base = tmp_path / "base.git"
    adapter.clone_base(CloneSource(str(upstream)), base, TaskContext())
    script = f"""
import sys
from pathlib import Path
from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.credentials import provide_credentials
from relay_tui.domain.errors import FileSystemError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext
disk, adapter = Path(sys.argv[1]), GitAdapter()
options = dict(branch="main", new_branch="", origin="/x", task=TaskContext())
clones = (
    lambda: adapter.clone_base(CloneSource({str(upstream)!r}), disk / "base.git", TaskContext()),
    lambda: adapter.clone_session(Path({str(base)!r}), disk / "s", **options),
)
for clone in clones:
    try:
        clone()
    except FileSystemError as error:
        print(error.title, list(disk.iterdir()))
"""
    done = _full_disk(tmp_path, script)
    assert done.stdout.splitlines() == ["The disk is full []"] * 2, done.stderr


# --- session clones --------------------------------------------------------------------------------------------------


@pytest.fixture
def base(adapter: GitAdapter, upstream: Path, data: Path) -> Path:
    adapter.clone_base(CloneSource(str(upstream)), data / "base.git", TaskContext())
    return data / "base.git"


def clone(
    adapter: GitAdapter, base: Path, branch: str = "main", new: str = "", origin: str = ""
) -> tuple[Path, list[str]]:
    target = base.parent / f"session-{len(entries(base.parent))}"
    origin = origin or run_git("config", "remote.origin.url", cwd=base)
    notes = adapter.clone_session(base, target, branch=branch, new_branch=new, origin=origin, task=TaskContext())
    return target, notes


def shared_objects(clone: Path) -> list[Path]:
    return [path for path in (clone / ".git").rglob("*") if path.is_file() and path.stat().st_nlink > 1]


def test_a_session_is_independent_and_knows_its_upstream(adapter: GitAdapter, base: Path, upstream: Path) -> None:
    (base.parent / "empty").mkdir()
    origin = "https://example.org/my repo.git"
    assert (
        adapter.clone_session(
            base, base.parent / "empty", branch="fix/a", new_branch="", origin=origin, task=TaskContext()
        )
        == []
    )
    session = base.parent / "empty"
    assert entries(base.parent) == ["base.git", "empty"]
    assert (session / "branch.txt").read_text() == "fix/a"
    assert shared_objects(session) == []
    assert list((session / ".git/objects").rglob("??*")) and (session / ".git").is_dir()
    assert not (session / ".git/objects/info/alternates").exists()
    assert run_git("remote", "--verbose", cwd=session).count(origin) == 2
    assert run_git("config", "--get-all", "remote.origin.fetch", cwd=session) == "+refs/heads/*:refs/remotes/origin/*"
    assert run_git("rev-parse", "--abbrev-ref", "fix/a@{upstream}", cwd=session) == "origin/fix/a"
    assert run_git("symbolic-ref", "refs/remotes/origin/HEAD", cwd=session) == "refs/remotes/origin/main"
    assert run_git("tag", cwd=session) == "v1"
    assert run_git("rev-parse", "origin/zz", cwd=session) == run_git("rev-parse", "zz", cwd=upstream)
    assert run_git("status", "--porcelain", cwd=session) == ""
    shutil.rmtree(base)
    assert run_git("fsck", "--strict", cwd=session) == ""


def test_a_new_branch_begins_there_and_pushes_nowhere_by_accident(adapter: GitAdapter, base: Path) -> None:
    session, _ = clone(adapter, base, "zz", "mine/new")
    assert run_git("symbolic-ref", "HEAD", cwd=session) == "refs/heads/mine/new"
    assert run_git("rev-parse", "HEAD", cwd=session) == run_git("rev-parse", "origin/zz", cwd=session)
    assert run_git("config", "--get-regexp", r"^branch\.", cwd=session).splitlines() == [
        "branch.zz.remote origin",
        "branch.zz.merge refs/heads/zz",
    ]
    assert (session / "branch.txt").read_text() == "zz"
    assert run_git("status", "--porcelain", cwd=session) == ""


@pytest.mark.parametrize(
    ("branch", "new"),
    [("gone", ""), ("v1", ""), ("--help", ""), ("main", "a..b"), ("main", "--orphan"), ("main", "main/x")],
)
def test_branches_that_cannot_be_are_the_fields_fault(adapter: GitAdapter, base: Path, branch: str, new: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        clone(adapter, base, branch, new)
    assert caught.value.field == "branch"
    assert entries(base.parent) == ["base.git"]


def test_a_session_goes_only_where_nothing_is(adapter: GitAdapter, base: Path) -> None:
    target = base.parent / "taken"
    target.mkdir()
    (target / "work").write_text("precious")
    with pytest.raises(FileSystemError, match="not an empty directory"):
        adapter.clone_session(base, target, branch="main", new_branch="", origin="/x", task=TaskContext())
    assert entries(target) == ["work"]


def test_a_cancelled_session_leaves_nothing(adapter: GitAdapter, base: Path) -> None:
    task = TaskContext(lambda stage, _fraction, _detail: task.cancel() if stage == "Cloning" else None)
    with pytest.raises(CancelledError):
        adapter.clone_session(base, base.parent / "s", branch="main", new_branch="", origin="/x", task=task)
    assert entries(base.parent) == ["base.git"]


def test_the_users_hooks_and_odd_configuration_stay_out(
    adapter: GitAdapter, base: Path, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "template/hooks/post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    config.write_text(
        f"[init]\n\ttemplateDir = {tmp_path}/template\n[core]\n\thooksPath = {hook.parent}\n"
        "[clone]\n\tdefaultRemoteName = other\n[branch]\n\tautoSetupMerge = always\n"
    )
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    session, _ = clone(adapter, base, "zz", "new")
    assert not (tmp_path / "ran").exists()
    assert not (session / ".git/hooks/post-checkout").exists()
    assert run_git("remote", cwd=session) == "origin"
    assert "branch.new" not in run_git("config", "--get-regexp", r"^branch\.", cwd=session)
    adapter.clone_base(
        CloneSource(run_git("config", "remote.origin.url", cwd=base)), tmp_path / "again.git", TaskContext()
    )
    assert not (tmp_path / "ran").exists() and not (tmp_path / "again.git/hooks").exists()


def test_a_session_clone_does_not_wait_for_gitpython(base: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.credentials import provide_credentials
from relay_tui.ports.task import TaskContext
adapter, base = GitAdapter(), Path({str(base)!r})
adapter.branches(base), adapter.identity(), adapter.check_branch_name("x")
adapter.clone_session(base, base.parent / "s", branch="main", new_branch="x", origin="/x", task=TaskContext())
print("git" in sys.modules)
"""
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


# --- submodules and LFS files ----------------------------------------------------------------------------------------


def with_submodules(tmp_path: Path) -> Path:
    """A repository `app` with a submodule beside it by relative address, which has one itself."""
    make_repository(tmp_path / "up/deep", files={"deep.txt": "deep"})
    make_repository(tmp_path / "up/lib", files={"lib.txt": "lib"})
    app = make_repository(tmp_path / "up/app")
    for parent, name in ((tmp_path / "up/lib", "deep"), (app, "lib")):
        run_git(
            "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"../{name}", f"libs/{name}", cwd=parent
        )
        run_git("commit", "--quiet", "--message=Add", cwd=parent)
    return app


def test_submodules_come_from_the_true_upstream_and_share_nothing(
    adapter: GitAdapter, tmp_path: Path, data: Path
) -> None:
    app = with_submodules(tmp_path)
    adapter.clone_base(CloneSource(str(app)), data / "base.git", TaskContext())
    told = Told()
    notes = adapter.clone_session(
        data / "base.git", data / "s", branch="main", new_branch="", origin=str(app), task=TaskContext(told)
    )
    assert notes == []
    assert (data / "s/libs/lib/libs/deep/deep.txt").read_text() == "deep"
    assert shared_objects(data / "s") == []
    assert run_git("status", "--porcelain", cwd=data / "s") == ""
    assert run_git("fsck", cwd=data / "s/libs/lib/libs/deep") == ""
    assert "Submodules" in told.stages()


def test_a_missing_submodule_is_a_note(adapter: GitAdapter, tmp_path: Path, data: Path) -> None:
    app = with_submodules(tmp_path)
    make_repository(tmp_path / "up/other")
    run_git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../other", "libs/other", cwd=app)
    run_git("commit", "--quiet", "--message=Other", cwd=app)
    shutil.rmtree(tmp_path / "up/lib")
    adapter.clone_base(CloneSource(str(app)), data / "base.git", TaskContext())
    session, notes = clone(adapter, data / "base.git")
    assert len(notes) == 1
    assert notes[0].startswith("Submodule libs/lib is missing: ")
    assert f"{tmp_path}/up/lib' does not exist" in notes[0]
    assert (session / "libs/other/README.md").exists()


def test_a_remote_repository_cannot_pull_in_one_of_this_host(adapter: GitAdapter, tmp_path: Path, data: Path) -> None:
    private = make_repository(tmp_path / "private", files={"secret.txt": "secret"})
    app = make_repository(tmp_path / "up/app")
    run_git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(private), "x", cwd=app)
    run_git("commit", "--quiet", "--message=Add", cwd=app)
    with http_server(tmp_path / "up") as http:
        source = CloneSource(f"{http.url}/app/.git")
        adapter.clone_base(source, data / "base.git", TaskContext())
        session, notes = clone(adapter, data / "base.git")
    assert notes == ["Submodule x is missing: transport 'file' not allowed"]
    assert entries(session / "x") == []
    assert files_with(session, "secret") == []


@pytest.fixture
def lfs_upstream(tmp_path: Path) -> Iterator[Path]:
    """A bare repository with an LFS file below `art/`, whose content it holds."""
    if shutil.which("git-lfs") is None:
        pytest.skip("needs git-lfs")
    work = make_repository(
        tmp_path / "work", files={"art/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
    )
    remote = tmp_path / "up/art.git"
    run_git("clone", "--quiet", "--bare", str(work), str(remote), cwd=tmp_path)
    run_git("remote", "add", "origin", str(remote), cwd=work)
    run_git("lfs", "install", "--local", cwd=work)
    (work / "art/big.bin").write_bytes(noise(5000))
    run_git("add", "--all", cwd=work)
    run_git("commit", "--quiet", "--message=Art", cwd=work)
    run_git("push", "--quiet", "origin", "main", cwd=work)
    assert not run_git("show", "main:art/big.bin", cwd=remote).startswith("\0")
    yield remote


def without_lfs(tmp_path: Path) -> str:
    """A PATH with everything but git-lfs, as in a container that lacks it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin"):
        for program in Path(place).glob("*"):
            link = directory / program.name
            if program.name != "git-lfs" and not link.exists() and not link.is_symlink():
                link.symlink_to(program)
    return str(directory)


def status(session: Path, path: str) -> str:
    done = subprocess.run(
        ("git", "status", "--porcelain"), cwd=session, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_lfs_files_are_there_and_look_unchanged_without_git_lfs_too(
    adapter: GitAdapter, lfs_upstream: Path, tmp_path: Path, data: Path, config: Path
) -> None:
    adapter.clone_base(CloneSource(str(lfs_upstream)), data / "base.git", TaskContext())
    session, notes = clone(adapter, data / "base.git", new="mine")
    assert notes == []
    assert (session / "art/big.bin").read_bytes() == noise(5000)
    path = without_lfs(tmp_path)
    assert status(session, path) == ""
    assert status(session, os.environ["PATH"]) == ""
    (session / "art/big.bin").write_bytes(b"changed")
    env = {**os.environ, "PATH": path}
    added = subprocess.run(("git", "add", "art/big.bin"), cwd=session, env=env, capture_output=True)
    assert added.returncode and b"git-lfs: not found" in added.stderr  # aloud, not committed whole
    assert config.read_text() == ""


def test_lfs_files_that_are_nowhere_are_a_note(adapter: GitAdapter, lfs_upstream: Path, data: Path) -> None:
    shutil.rmtree(lfs_upstream / "lfs")
    adapter.clone_base(CloneSource(str(lfs_upstream)), data / "base.git", TaskContext())
    session, notes = clone(adapter, data / "base.git")
    assert len(notes) == 1 and notes[0].startswith("LFS files are missing: ")
    assert (session / "art/big.bin").read_text().startswith("version https://git-lfs")


def test_without_git_lfs_the_pointers_stay_and_a_note_says_so(
    adapter: GitAdapter,
    lfs_upstream: Path,
    tmp_path: Path,
    data: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter.clone_base(CloneSource(str(lfs_upstream)), data / "base.git", TaskContext())
    config.write_text('[filter "lfs"]\n\tprocess = git-lfs filter-process\n\trequired = true\n')
    path = without_lfs(tmp_path)
    monkeypatch.setenv("PATH", path)
    session, notes = clone(adapter, data / "base.git")
    assert notes == ["LFS files are pointers only: git-lfs is not installed on this host"]
    assert (session / "art/big.bin").read_text().startswith("version https://git-lfs")


def test_a_remote_lfsconfig_cannot_point_at_this_host(
    adapter: GitAdapter, lfs_upstream: Path, tmp_path: Path, data: Path
) -> None:
    work = tmp_path / "work"
    (work / ".lfsconfig").write_text(f"[lfs]\n\turl = file://{lfs_upstream}\n")
    run_git("add", "--all", cwd=work)
    run_git("commit", "--quiet", "--message=Config", cwd=work)
    with http_server(work.parent) as http:
        adapter.clone_base(CloneSource(f"{http.url}/work/.git"), data / "base.git", TaskContext())
        session, notes = clone(adapter, data / "base.git")
    assert notes == ["LFS files are pointers only: .lfsconfig names a path on this host"]
    assert not (session / ".git/lfs").exists()
