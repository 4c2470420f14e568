"""Accepted input for a repository or a branch, and the errors made from git's messages."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from git_servers import make_repository

from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.credentials import spellings
from relay_tui.adapters.git.errors import git_error, last_lines, redact
from relay_tui.adapters.git.process import Outcome, environment, run_git, ssh_command
from relay_tui.adapters.git.throttle import ProgressThrottle
from relay_tui.domain.errors import CancelledError, FileSystemError, GitError, InvalidInputError, RelayError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext


@pytest.fixture
def adapter() -> GitAdapter:
    return GitAdapter()


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://github.com/owner/name.git", CloneSource("https://github.com/owner/name.git")),
        ("  HTTPS://Host/x\n", CloneSource("https://Host/x")),
        ("https://ada:s%40cret%2F@host:8443/x", CloneSource("https://host:8443/x", "ada", "s@cret/")),
        ("https://token@host/x", CloneSource("https://host/x", "token")),
        ("http://a:b@[::1]:80/x", CloneSource("http://[::1]:80/x", "a", "b")),
        ("ssh://git@host:22/x y.git", CloneSource("ssh://git@host:22/x y.git")),
        ("ssh://git:word@host/x", CloneSource("ssh://git@host/x", "", "word")),
        ("git@github.com:owner/name.git", CloneSource("git@github.com:owner/name.git")),
        ("host:x@v2", CloneSource("host:x@v2")),
        ("git://host/x", CloneSource("git://host/x")),
        ("git://ada:word@host/x", CloneSource("git://host/x")),
        ("https://host/x?ref=main", CloneSource("https://host/x?ref=main")),
    ],
)
def test_addresses_lose_their_secrets_and_nothing_else(adapter: GitAdapter, text: str, source: CloneSource) -> None:
    assert adapter.parse_source(text) == source


def test_a_secret_never_shows_in_a_repr(adapter: GitAdapter) -> None:
    assert "hunter2" not in repr(adapter.parse_source("https://ada:hunter2@host/x"))


def test_local_paths_become_absolute(adapter: GitAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a b", "with:colon", "-dash"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert adapter.parse_source("a b").url == str(tmp_path / "a b")
    assert adapter.parse_source("~/a b/").url == str(tmp_path / "a b")
    assert adapter.parse_source("./-dash").url == str(tmp_path / "-dash")
    assert adapter.parse_source("a b/../with:colon").url == str(tmp_path / "with:colon")
    assert adapter.parse_source("with:colon").url == str(tmp_path / "with:colon")
    assert adapter.parse_source(f"file://{tmp_path}/a%20b").url == f"file://{tmp_path}/a%20b"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  ", "needed"),
        ("--upload-pack=touch x", "begin with '-'"),
        ("https://host/x\nhttps://host/y", "line breaks"),
        ("https://ada:a%0Ab@host/x", "control characters"),
        ("ext::sh -c id", "remote helper 'ext'"),
        ("fd::17", "remote helper 'fd'"),
        ("svn+x::y", "remote helper"),
        ("svn://host/x", "svn://"),
        ("https:///x", "no valid host"),
        ("https://ada:pass/word@host/x", "no valid host or port"),
        ("https://ada:pass#word@host/x", "no valid host or port"),
        ("https://host/x?private_token=hunter2", "after its '?'"),
        ("https://host/x?access_token=hunter2&y", "after its '?'"),
        ("git:hunter2@host:x", "cannot have a password"),
        ("ada:hunter2@host.org/x", "cannot have a password"),
        ("ssh://-oProxyCommand=id/x", "host name cannot begin"),
        ("ada@-oProxyCommand=id:x", "host name cannot begin"),
        ("file://relative", "absolute path"),
        ("file:///no/such/place", "There is nothing at /no/such/place"),
        ("/no/such/place", "There is nothing at /no/such/place"),
        ("/dev/null/x", "There is nothing at /dev/null/x"),
        ("~nobody-of-that-name/x", "no home directory"),
        ("x" * 5000, "There is nothing at"),
    ],
)
def test_what_git_must_not_be_given_is_refused(adapter: GitAdapter, text: str, title: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        adapter.parse_source(text)
    assert caught.value.field == "source"
    assert title in caught.value.title
    assert caught.value.hint
    assert not any(secret in str(caught.value.fault) for secret in ("hunter2", "pass/", "pass#"))


def test_a_url_without_scheme_gets_the_right_hint(adapter: GitAdapter) -> None:
    with pytest.raises(InvalidInputError) as caught:
        adapter.parse_source("github.com/owner/name")
    assert "https://github.com/owner/name" in caught.value.hint


def _refused(adapter: GitAdapter, name: str) -> bool:
    try:
        adapter.check_branch_name(name)
    except InvalidInputError as error:
        assert error.field == "branch" and error.title
        return True
    return False


def test_branch_names_are_judged_as_git_judges_them(adapter: GitAdapter, tmp_path: Path) -> None:
    pieces = [
        "a",
        "B9",
        "ü",
        "/",
        "/",
        ".",
        "..",
        "-",
        "@",
        "@{",
        "{",
        ".lock",
        "lock",
        "HEAD",
        "~",
        "^",
        ":",
        "?",
        "*",
    ]
    pieces += ["[", "\\", " ", "\t", "\x7f", "_", "refs/heads/", "feature", "#", "'", "\N{WAVING HAND SIGN}"]
    chance = random.Random(7)
    names = {"".join(chance.choices(pieces, k=chance.randint(1, 4))) for _ in range(320)} | set(pieces)
    differing = [
        name
        for name in sorted(names)
        if _refused(adapter, name)
        != bool(
            subprocess.run(("git", "check-ref-format", "--branch", name), cwd=tmp_path, capture_output=True).returncode
        )
        and name != "@"
    ]
    assert differing == []


@pytest.mark.parametrize("name", ["", "HEAD", "@", "-x", "a\0b", "x" * 201, "ü" * 101, "a\udc80"])
def test_branch_names_git_cannot_be_asked_about_are_refused(adapter: GitAdapter, name: str) -> None:
    assert _refused(adapter, name)


def test_the_longest_branch_name_is_fine(adapter: GitAdapter) -> None:
    assert not _refused(adapter, "x" * 200)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("fatal: repository 'https://host/x/' not found", "no git repository"),
        ("fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote", "no git repository"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "no git repository"),
        ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://host/'", "Wrong user name"),
        ("fatal: could not read Username for 'https://host': terminal prompts disabled", "asks for a user name"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "refuses access"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "Cannot resolve the host name"),
        ("ssh: Could not resolve hostname x: Name or service not known", "Cannot resolve the host name"),
        ("fatal: unable to look up x (port 9418) (Name or service not known)", "Cannot resolve the host name"),
        ("ssh: connect to host h port 22: Connection timed out", "does not answer"),
        ("error: RPC failed; curl 28 Operation too slow. Less than 1000 bytes/sec", "does not answer"),
        ("ssh: connect to host h port 22: No route to host", "Cannot reach the server"),
        ("git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.", "ssh key"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "host key is not known"),
        ("fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate", "TLS certificate"),
        ("fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none", "TLS"),
        ("fatal: detected dubious ownership in repository at '/x'", "does not trust"),
        ("fatal: transport 'ext' not allowed", "not allowed to use"),
        ("fatal: the remote end hung up unexpectedly\nfatal: early EOF", "interrupted"),
        (
            "warning: Could not find remote branch b to clone.\nfatal: Remote branch b not found in upstream",
            "no such branch",
        ),
    ],
)
def test_each_known_cause_has_its_own_title(said: str, title: str) -> None:
    fault = git_error(Outcome(128, b"", tuple(said.split("\n"))), "Failed")
    assert isinstance(fault, GitError)
    assert title in fault.title
    assert fault.detail and fault.hint


@pytest.mark.parametrize(
    "said",
    [
        "fatal: write error: No space left on device",
        "error: file write error: Disk quota exceeded",
        "fatal: could not create work tree dir 'x': Permission denied",
        "fatal: cannot mkdir x: Read-only file system",
    ],
)
def test_what_the_disk_says_is_not_gits_fault(said: str) -> None:
    fault = git_error(Outcome(128, b"", (said, "fatal: early EOF")), "Failed")
    assert isinstance(fault, FileSystemError)


def test_a_full_disk_on_the_other_side_is_not_ours() -> None:
    lines = ("remote: fatal: No space left on device", "fatal: early EOF")
    assert isinstance(git_error(Outcome(128, b"", lines), "Failed"), GitError)


def test_an_unknown_cause_keeps_gits_last_words() -> None:
    lines = ("Cloning into 'x'...", *(f"remote: line {number}" for number in range(30)), "fatal: the moon is full")
    fault = git_error(Outcome(128, b"", lines), "Cannot clone the repository")
    assert fault.title == "Cannot clone the repository"
    assert fault.detail.splitlines() == list(lines[-20:])
    silent: RelayError = git_error(Outcome(-9, b"", ()), "Failed")
    assert "signal 9" in silent.detail


def test_secrets_are_taken_out_however_they_are_written() -> None:
    source = CloneSource("https://host/x", "a-token-as-user", "s@cret/1")
    said = "a-token-as-user s@cret/1 s%40cret%2F1 s%40cret/1 https://u:p@w@host/x ssh://git:pw@host ssh://git@host/x"
    assert redact(said, spellings(source)) == "*** *** *** *** https://***@host/x ssh://***@host ssh://git@host/x"
    outcome = Outcome(1, b"", ("Cloning into 'y'...", "fatal: clone of 'https://t@host/y' failed", "fatal: more"))
    assert last_lines(outcome) == "clone of 'https://***@host/y' failed"


def test_git_cannot_ask_and_is_not_led_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_CONFIG_PARAMETERS", "GIT_TRACE", "SSH_ASKPASS", "GPG_TTY"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/ca")
    env = environment("https")
    assert not [name for name, value in env.items() if value == "mine"]
    assert env["GIT_SSL_CAINFO"] == "/ca"
    assert (env["GIT_ASKPASS"], env["GIT_TERMINAL_PROMPT"], env["GIT_ALLOW_PROTOCOL"]) == ("", "0", "https")


def test_the_users_own_ssh_is_used_in_batch_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    monkeypatch.setenv("GIT_SSH", "/opt/my ssh")
    options = " -o BatchMode=yes -o ConnectTimeout=20"
    assert ssh_command() == {"GIT_SSH_COMMAND": f"'/opt/my ssh'{options}"}
    config.write_text('[core]\n\tsshCommand = "ssh -i key"\n')
    assert ssh_command() == {"GIT_SSH_COMMAND": f"ssh -i key{options}"}
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F other")
    assert ssh_command() == {"GIT_SSH_COMMAND": f"ssh -F other{options}"}


def test_identity_is_what_holds_outside_any_repository(
    adapter: GitAdapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "repository")
    (repository / ".git/config").write_text("[user]\n\tname = Local\n")
    config = tmp_path / "config"
    config.write_text('[user]\n\tname = "Ada  \u00dc"\n\tname = Ada L.\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.chdir(repository)
    assert (adapter.identity().name, adapter.identity().email) == ("Ada L.", "")


def test_without_git_the_message_says_so(adapter: GitAdapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    calls: list[Callable[[], object]] = [
        adapter.identity,
        lambda: adapter.branches(tmp_path),
        lambda: adapter.clone_base(CloneSource("git://127.0.0.1:1/x"), tmp_path / "x", TaskContext()),
    ]
    for call in calls:
        with pytest.raises(GitError, match="git is not installed"):
            call()


def test_cancel_ends_what_does_not_want_to_end() -> None:
    script = "echo ready: 1 >&2; trap '' TERM; while :; do sleep 60; done"
    task = TaskContext()
    began = time.monotonic()
    timer = threading.Timer(0.1, task.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        run_git(("-c", f"alias.stubborn=!{script}", "stubborn"), task, environment("file"))
    assert time.monotonic() - began < 10


def test_progress_is_throttled_but_no_stage_loses_its_end() -> None:
    now = 0.0
    told: list[tuple[str, float | None, str]] = []
    pace = ProgressThrottle(TaskContext(lambda *report: told.append(report)), lambda: now)
    for step in range(1001):
        now = step / 1000
        pace.stage("Receiving objects", step / 1000, "")
    pace.stage("Resolving deltas", 0.5, "")
    pace.stage("Resolving deltas", 1.0, "")
    pace.flush()
    assert len(told) <= 24
    assert told[-3:] == [("Receiving objects", 1.0, ""), ("Resolving deltas", 0.5, ""), ("Resolving deltas", 1.0, "")]
