"""The installed command, as a script or a person without its screen uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import docker
import pytest
from git_servers import free_port, http_server, make_repository, run_git
from installed_relay import IMAGE, PROGRAM, InstalledRelay, clear_engine
from waiting import wait_until

PROJECT_FIELDS = [
    *("id", "name", "source", "default_branch", "default_image", "default_profile", "default_runtime"),
    *("clone_state", "clone_error", "desired", "created_at", "updated_at", "deleted_at", "sessions"),
]
SESSION_FIELDS = [
    *("id", "project_id", "name", "branch", "base_branch", "image", "profile", "work_dir", "runtime"),
    *(
        "isolated",
        "container_id",
        "desired",
        "state",
        "error_reason",
        "exit_code",
        "notes",
        "created_at",
        "updated_at",
        "deleted_at",
        "project",
    ),
]
SECRET = "s3cret-w0rd"


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """relay over an empty data dir, and an engine that is nowhere."""
    relay = InstalledRelay(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})
    relay.config.write_text('runtime = "docker"\n')
    return relay


@dataclass(frozen=True)
class World:
    """relay with an engine, and repositories to add."""

    relay: InstalledRelay
    repositories: Path

    def add(self, name: str, *options: str, branches: tuple[str, ...] = ("main", "side")) -> dict[str, object]:
        """A project `name` of a repository `name`, with its first session."""
        source = make_repository(self.repositories / name, branches=branches)
        return self.relay.json("project", "add", source, "--image", IMAGE, *options)

    def session(self, reference: str) -> dict[str, object]:
        """Return a session as `show` prints it."""
        return self.relay.json("session", "show", reference)


@pytest.fixture
def world(engine: docker.DockerClient, tmp_path: Path) -> Iterator[World]:
    """An empty world of the test's own."""
    yield World(InstalledRelay(tmp_path / "relay"), tmp_path / "repositories")
    clear_engine(engine, tmp_path)


@pytest.fixture(scope="module")
def shared(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with a project `demo`, its first session `main` and a second `side`, for tests that change nothing."""
    root = tmp_path_factory.mktemp("shared")
    world = World(InstalledRelay(root / "relay"), root / "repositories")
    world.relay.root.mkdir()
    world.relay.config.write_text('[profiles.talk]\ncommand = "echo one; echo two; echo three >&2; exec sleep 1000"\n')
    world.add("demo", "--profile", "talk")
    world.relay.json("session", "create", "demo", "--branch", "side", "--profile", "default")
    yield world
    clear_engine(engine, root)


# --- wrong usage, help, no terminal ----------------------------------------------------------------------------------


def test_without_a_terminal_it_says_so_and_shows_its_help(relay: InstalledRelay) -> None:
    done = relay.run()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("relay's screen needs a terminal.\n\nUsage: relay ")
    assert not relay.data.exists()


@pytest.mark.parametrize("arguments", [("--help",), ("session", "create", "--help"), ("--version",)])
def test_help_is_quick(relay: InstalledRelay, arguments: tuple[str, ...]) -> None:
    listing = (
        "import sys; from relay_tui.cli import run; run(sys.argv[1:]); print('LOADED', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        (sys.executable, "-c", listing, *arguments), env=relay.env, capture_output=True, text=True, check=True
    )
    assert done.stdout == relay.run(*arguments).out
    assert "Usage: relay" in done.stdout or done.stdout.startswith("relay, version ")
    loaded = set(done.stderr.partition("LOADED ")[2].split())
    assert "click" in loaded
    assert not loaded & {"textual", "docker", "git"}


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("project",), ("project", "add"), ("project", "list", "--nonsense"), ("session", "logs", "--tail")],
)
def test_wrong_usage(relay: InstalledRelay, arguments: tuple[str, ...]) -> None:
    done = relay.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "relay" in done.err
    if arguments != ("project",):
        assert relay.fails(2, *arguments)["kind"] == "usage"


def test_unknown_key_in_the_configuration(relay: InstalledRelay) -> None:
    relay.config.write_text("[profiles.node]\nimmage = 'node'\n")
    error = relay.fails(1, "project", "list")
    assert error["kind"] == "config"
    assert str(relay.config) in error["title"]
    assert "profiles.node.immage" in error["title"]
    done = relay.run("project", "list")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"relay: {relay.config}, line 2: profiles.node.immage is not a known key\n  Known: ")


def test_configuration_and_profiles_as_documents(relay: InstalledRelay) -> None:
    relay.config.write_text('image = "thing"\n[profiles.node]\nmemory = "2g"\nuser = "image"\ncommand = "node"\n')
    assert relay.json("config", "path") == {"path": str(relay.config), "exists": True}
    shown = relay.json("config", "show")
    assert (shown["image"], shown["data_dir"]) == ("thing", str(relay.data))
    profile = relay.json("profile", "show", "node")
    assert profile["memory"] == 2 << 30
    assert profile["command"] == ["/bin/sh", "-c", "node"]
    assert profile["loosened"] == ["runs as the image's own user"]
    assert [row["name"] for row in relay.run("profile", "list", "--json").rows] == ["default", "node"]
    assert "2 GiB" in relay.run("profile", "show", "node").out
    assert relay.fails(2, "profile", "show", "nope")["title"] == "There is no profile 'nope'"


def test_data_dir_by_option(relay: InstalledRelay) -> None:
    other = relay.root / "other"
    assert relay.run("--data-dir", other, "project", "list", "--json").rows == []
    assert other.stat().st_mode & 0o777 == 0o700
    assert not relay.data.exists()
    blocked = relay.root / "file"
    blocked.write_text("")
    assert relay.fails(1, "project", "list", "--data-dir", blocked)["kind"] == "file-system"


def test_nothing_goes_by_that_name(relay: InstalledRelay) -> None:
    for arguments in (("project", "show"), ("project", "retry"), ("session", "show"), ("session", "logs")):
        error = relay.fails(3, *arguments, "nope")
        assert error["kind"] == "not-found"
        assert "'nope'" in error["title"]
    assert relay.fails(3, "session", "create", "nope")["kind"] == "not-found"
    assert relay.fails(3, "project", "remove", "nope", "--yes")["kind"] == "not-found"


# --- project add, where it fails -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("/not/there", "There is nothing at /not/there"),
        ("-u/bin/sh", ""),
        ("ext::sh -c true", "relay does not clone through the remote helper 'ext'"),
        ("ftp://host/x", "relay cannot clone from ftp:// addresses"),
        ("", "A repository is needed"),
    ],
)
def test_source_that_cannot_be_one(relay: InstalledRelay, source: str, title: str) -> None:
    error = relay.fails(2, "project", "add", source)
    assert error["title"].startswith(title)
    assert relay.run("project", "list", "--json").rows == []
    assert relay.left() == set()


@pytest.mark.parametrize("name", ["-x", "a b", "ä", "a/b", "x" * 41])
def test_project_name_that_cannot_be_one(relay: InstalledRelay, name: str) -> None:
    source = make_repository(relay.root / "repository")
    assert relay.fails(2, "project", "add", source, f"--name={name}")["kind"] == "invalid-input"
    assert relay.run("project", "list", "--json").rows == []


def _failed(relay: InstalledRelay, kind: str, *arguments: str | Path, code: int = 1) -> dict[str, str]:
    """A `project add` that fails while cloning: the row keeps why, the disk nothing, and it can be retried."""
    error = relay.fails(code, "project", "add", *arguments)
    assert error["kind"] == kind
    [row] = relay.run("project", "list", "--json").rows
    assert (row["clone_state"], row["clone_error"], row["sessions"]) == ("error", error, 0)
    assert relay.left() <= {f"projects/{row['id']}"}
    shown = relay.run("project", "show", str(row["name"]))
    assert error["title"] in shown.out
    assert error["hint"] in shown.out
    return error


def test_repository_without_commits(relay: InstalledRelay) -> None:
    error = _failed(relay, "git", make_repository(relay.root / "new", branches=()))
    assert error["title"] == "The repository has no commits"


def test_directory_that_is_no_repository(relay: InstalledRelay) -> None:
    assert _failed(relay, "git", relay.root)["title"] == "There is no git repository at that address"


def test_server_that_is_not_there(relay: InstalledRelay) -> None:
    error = _failed(relay, "git", f"http://127.0.0.1:{free_port()}/x.git")
    assert error["title"] == "The server refuses the connection"
    assert "Failed to connect" in error["detail"]


def test_default_branch_that_is_not_there(relay: InstalledRelay) -> None:
    source = make_repository(relay.root / "repository")
    error = relay.fails(2, "project", "add", source, "--branch", "nope")
    assert error["title"] == "The repository has no branch 'nope'"
    run_git("branch", "nope", cwd=source)
    assert relay.fails(5, "project", "retry", "repository")["kind"] == "engine-unreachable"
    assert relay.json("project", "show", "repository")["clone_state"] == "ready"


def test_wrong_password_then_the_right_one_and_neither_is_kept(relay: InstalledRelay, tmp_path: Path) -> None:
    make_repository(tmp_path / "served" / "r.git", bare=True)
    with http_server(tmp_path / "served", username="ada", password=SECRET) as server:
        error = _failed(relay, "git", server.login("r.git", password="wr0ng-w0rd"))
        assert error["title"] == "Wrong user name or password"
        assert relay.fails(1, "project", "retry", "r")["title"] == "The server asks for a user name and password"
        relay.fails(5, "project", "retry", "r", "--source", server.login("r.git"))
        project = relay.json("project", "show", "r")
    assert (project["clone_state"], project["source"]) == ("ready", f"{server.url}/r.git")
    assert relay.holds(SECRET) == []
    assert relay.holds("wr0ng-w0rd") == []


def test_name_that_is_taken(relay: InstalledRelay) -> None:
    source = make_repository(relay.root / "repository")
    relay.fails(5, "project", "add", source, "--name", "One")
    error = relay.fails(4, "project", "add", source, "--name", "one")
    assert error["title"] == "A project 'one' exists already"
    relay.fails(5, "project", "add", source, "--image", "x")
    assert [row["name"] for row in relay.run("project", "list", "--json").rows] == ["One", "repository"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_clone_leaves_nothing(relay: InstalledRelay, tmp_path: Path, number: signal.Signals) -> None:
    make_repository(tmp_path / "served" / "r.git", bare=True, files={"big": os.urandom(300_000)})
    with http_server(tmp_path / "served", hold_after=50_000) as server:
        running = relay.begin("project", "add", f"{server.url}/r.git", "--json")
        assert server.holding.wait(20)
        assert relay.run("project", "list", "--json").rows[0]["clone_state"] == "cloning"
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (1, b"")
    assert b'"kind": "cancelled"' in err
    assert relay.run("project", "list", "--json").rows == []
    assert relay.left() == set()


def test_no_engine_and_yet_the_clone_is_made(relay: InstalledRelay) -> None:
    error = relay.fails(5, "project", "add", make_repository(relay.root / "repository"))
    assert error["kind"] == "engine-unreachable"
    [session] = relay.run("session", "list", "--json").rows
    assert (session["state"], session["error_reason"]) == ("error", error)
    assert Path(str(session["work_dir"]), "README.md").exists()
    assert relay.fails(5, "session", "retry", "main") == error
    assert relay.fails(4, "session", "shell", "main", "true")["title"] == "main has no container"
    assert relay.run("session", "shell", "main", "true").code == 4
    assert relay.json("session", "stop", "main")["state"] == "stopped"


# --- the whole path --------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_project_add_brings_a_first_session(world: World) -> None:
    source = make_repository(world.repositories / "a repository", branches=("trunk", "side"), tags=("v1",))
    done = world.relay.run("project", "add", "a repository", "--image", IMAGE, "--json", cwd=world.repositories)
    assert (done.code, done.err) == (0, "")
    project = done.document
    assert list(project) == [*PROJECT_FIELDS, "notes"]
    assert (project["name"], project["source"], project["default_branch"]) == ("a-repository", str(source), "trunk")
    [session] = world.relay.run("session", "list", "--json").rows
    assert list(session) == SESSION_FIELDS
    assert (session["name"], session["branch"], session["state"]) == ("trunk", "trunk", "running")
    clone = Path(str(session["work_dir"]))
    assert run_git("remote", "get-url", "origin", cwd=clone) == str(source)
    assert run_git("status", "--short", "--branch", cwd=clone) == "## trunk...origin/trunk"
    assert run_git("tag", cwd=clone) == "v1"
    words = world.relay.run("project", "show", "a-repository").out
    assert "trunk  running  trunk" in words
    assert world.relay.run("session", "list").out.splitlines()[1].split()[1:4] == [
        "a-repository/trunk",
        "running",
        "trunk",
    ]


@pytest.mark.engine
def test_sessions_of_existing_and_new_branches(world: World) -> None:
    world.add("demo")
    create = ("session", "create", "demo")
    side = world.relay.json(*create, "--branch", "side")
    assert (side["name"], side["branch"], side["image"]) == ("side", "side", IMAGE)
    fix = world.relay.json(*create, "--new-branch", "fix/it", "--from", "side", "--name", "mine")
    assert (fix["name"], fix["branch"], fix["base_branch"]) == ("mine", "fix/it", "side")
    clone = Path(str(fix["work_dir"]))
    assert run_git("symbolic-ref", "HEAD", cwd=clone) == "refs/heads/fix/it"
    assert (clone / "branch.txt").read_text() == "side"
    assert not (clone / ".git/objects/info/alternates").exists()
    again = world.relay.run(*create)
    assert (again.code, again.out) == (0, "demo/main-2 is running on main.\n")
    rows = world.relay.run("session", "list", "--project", "demo", "--json").rows
    assert [row["state"] for row in rows] == ["running"] * 4


@pytest.mark.engine
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--branch", "nope"), "demo has no branch 'nope'"),
        (("--branch=-x",), "begin"),
        (("--new-branch=-x",), "begin"),
        (("--new-branch", "a..b"), "cannot contain '..'"),
        (("--new-branch", "side"), "There is a branch 'side' already"),
        (("--new-branch", "side/deeper"), "git cannot have both"),
        (("--new-branch", "x", "--from", "nope"), "demo has no branch 'nope'"),
        (("--new-branch", "x", "--branch", "main"), "exclude each other"),
        (("--from", "main"), "--from goes with --new-branch"),
        (("--name=-x",), "starting with a letter or digit"),
        (("--profile", "nope"), "There is no profile 'nope'"),
    ],
)
def test_session_that_cannot_be(shared: World, options: tuple[str, ...], words: str) -> None:
    error = shared.relay.fails(2, "session", "create", "demo", *options)
    assert error["kind"] == "invalid-input"
    assert words in error["title"]
    assert len(shared.relay.run("session", "list", "--all", "--json").rows) == 2


@pytest.mark.engine
def test_session_name_that_is_taken(shared: World) -> None:
    error = shared.relay.fails(4, "session", "create", "demo", "--name", "SIDE")
    assert error["title"] == "demo has a session 'SIDE' already"


@pytest.mark.engine
def test_what_a_reference_means(shared: World) -> None:
    main, side = shared.relay.run("session", "list", "--json").rows
    whole = str(main["id"])
    project = str(main["project_id"])
    for reference in (whole, whole[:-1], "main", "demo/main", f"{project}/main", f"demo/{whole}"):
        assert shared.session(reference)["id"] == whole
    for reference in (project, project[:-1], "demo"):
        assert shared.relay.json("project", "show", reference)["id"] == project
    begin = "".join(a for a, b in zip(whole, accumulate(whole), strict=True) if str(side["id"]).startswith(b))
    error = shared.relay.fails(4, "session", "show", begin)
    assert error["title"] == f"'{begin}' could be any of 2"
    assert whole in error["detail"]
    assert shared.relay.fails(3, "session", "show", "demo/nope")["kind"] == "not-found"


@pytest.mark.engine
def test_same_name_in_two_projects_needs_the_project(world: World) -> None:
    one, two = world.add("one"), world.add("two")
    error = world.relay.fails(4, "session", "show", "main")
    assert "one/main" in error["detail"]
    assert "two/main" in error["detail"]
    assert world.session("one/main")["project_id"] == one["id"]
    assert world.session("two/main")["project_id"] == two["id"]


@pytest.mark.engine
def test_logs(shared: World) -> None:
    wait_until(lambda: "three" in shared.relay.run("session", "logs", "main").out, what="the log")
    assert shared.relay.run("session", "logs", "main").out.splitlines() == ["one", "two", "three"]
    assert shared.relay.run("session", "logs", "main", "--tail", "1").out.splitlines() == ["three"]
    stamped = shared.relay.run("session", "logs", "main", "--timestamps", "--tail=1", "--since", "1h").out
    assert stamped.split()[1] == "three"
    assert stamped.startswith("20")
    assert shared.relay.run("session", "logs", "main", "--since", "2199-01-01").out == ""
    document = shared.relay.json("session", "logs", "main")
    assert str(document["log"]).split() == ["one", "two", "three"]
    assert shared.relay.fails(2, "session", "logs", "main", "--since", "yesterday")["kind"] == "invalid-input"
    assert shared.relay.fails(2, "session", "logs", "main", "-f")["kind"] == "invalid-input"


@pytest.mark.engine
def test_followed_log_ends_at_ctrl_c(shared: World) -> None:
    running = shared.relay.begin("session", "logs", "-f", "main")
    assert running.stdout is not None
    assert [running.stdout.readline().split() for _ in range(3)] == [[b"one"], [b"two"], [b"three"]]
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=10)
    assert err == b""
    assert running.returncode == 0


@pytest.mark.engine
def test_shell_passes_everything_through(shared: World) -> None:
    shell = ("session", "shell", "side")
    done = shared.relay.run(*shell, "--", "sh", "-c", 'echo out; echo err >&2; cat; echo "$RELAY_BRANCH $PWD"; exit 7')
    assert (done.code, done.out, done.err) == (7, "out\nside /workspace\n", "err\n")
    assert shared.relay.run(*shell, "cat", given=b"typed\n").out == "typed\n"
    assert shared.relay.run(*shell, given=b"echo $((40 + 2))\nexit 3\n").code == 3
    assert shared.relay.run(*shell, "--", "ls", "--json").code == 1
    assert shared.relay.run(*shell, "nope").code == 127


@pytest.mark.engine
def test_stop_start_restart(world: World, engine: docker.DockerClient) -> None:
    world.add("demo")
    container = engine.containers.get(str(world.session("main")["container_id"]))
    stopped = world.relay.json("session", "stop", "main")
    assert (stopped["state"], stopped["desired"]) == ("stopped", "stopped")
    container.reload()
    assert container.status == "exited"
    assert world.relay.fails(4, "session", "shell", "main", "true")["kind"] == "conflict"
    started = world.relay.json("session", "start", "main")
    assert (started["state"], started["container_id"]) == ("running", container.id)
    begun = container.attrs["State"]["StartedAt"]
    assert world.relay.run("session", "restart", "main").out == "demo/main is running.\n"
    container.reload()
    assert container.status == "running"
    assert container.attrs["State"]["StartedAt"] > begun
    assert world.relay.fails(4, "session", "retry", "main")["kind"] == "conflict"


@pytest.mark.engine
def test_command_that_fails_at_once(world: World) -> None:
    world.relay.root.mkdir()
    bad = '[profiles.bad]\ncommand = "echo first words; echo last words >&2; exit 9"\n'
    world.relay.config.write_text(bad)
    source = make_repository(world.repositories / "demo")
    error = world.relay.fails(1, "project", "add", source, "--image", IMAGE, "--profile", "bad")
    assert error["kind"] == "engine"
    assert error["title"] == "The command failed (exit code 9)"
    session = world.session("main")
    assert (session["state"], session["exit_code"], session["error_reason"]) == ("error", 9, error)
    assert [line.strip() for line in error["detail"].splitlines()] == ["first words", "last words"]
    shown = world.relay.run("session", "show", "main").out
    assert "exit code" in shown
    assert "last words" in shown
    assert world.relay.run("session", "retry", "main").code == 1
    world.relay.config.write_text(bad.replace("exit 9", "exec sleep 1000"))
    assert world.relay.json("session", "retry", "main")["state"] == "running"


@pytest.mark.engine
def test_image_that_is_not_to_be_had(world: World) -> None:
    source = make_repository(world.repositories / "demo")
    image = f"127.0.0.1:{free_port()}/nope"
    error = world.relay.fails(1, "project", "add", source, "--image", image)
    assert error["kind"] == "engine"
    assert image in f"{error['title']} {error['detail']}"
    assert world.session("main")["error_reason"] == error
    removed = world.relay.run("project", "remove", "demo", "--yes")
    assert removed.code == 0


@pytest.mark.engine
def test_last_session_stays_until_its_project_goes(world: World, engine: docker.DockerClient) -> None:
    world.add("demo")
    world.relay.json("session", "create", "demo", "--branch", "side")
    clone = Path(str(world.session("main")["work_dir"]))
    gone = world.relay.json("session", "remove", "main")
    assert gone["deleted_at"]
    assert not clone.exists()
    error = world.relay.fails(4, "session", "remove", "side", "--force")
    assert error["title"] == "side is the last session of demo"
    assert "relay project remove demo" in error["hint"]
    assert world.session("side")["state"] == "running"
    listed = world.relay.run("session", "list", "--all").out
    assert listed.count("removed") == 1

    refused = world.relay.fails(4, "project", "remove", "demo")
    assert "1 session, its container and its clone (side)" in refused["detail"]
    document = world.relay.json("project", "remove", "demo", "--yes")
    assert len(document["sessions"]) == 1  # type: ignore[arg-type]
    assert world.relay.run("project", "list", "--json").rows == []
    assert world.relay.run("session", "list", "--json").rows == []
    label = {"label": f"relay.data-dir={world.relay.data}"}
    assert engine.containers.list(all=True, filters=label) == []
    assert list((world.relay.data / "projects").iterdir()) == []


@pytest.mark.engine
def test_words_for_a_person(shared: World) -> None:
    project = shared.relay.run("project", "show", "demo").out
    assert "base clone" in project
    session = shared.relay.run("session", "show", "side").out
    assert "demo/side" in session
    done = shared.relay.run("session", "show", "nope")
    assert (done.code, done.out) == (3, "")
    assert done.err == "relay: There is no session 'nope'\n  → Sessions: demo/main, demo/side.\n"


def test_the_command_is_installed() -> None:
    assert PROGRAM.exists(), "install the project first: pip install -e '.[test]'"


def test_debug_says_where_the_log_is(tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path)
    done = relay.run("--debug", "project", "list")
    assert done.code == 0
    assert str(tmp_path / "state/relay/relay.log") in done.err


def test_secrets_never_reach_relays_own_log(tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path)
    relay.run("--debug", "project", "add", f"http://ada:{SECRET}@127.0.0.1:{free_port()}/x.git")
    assert relay.holds(SECRET) == []


def test_a_table_aligns_columns_after_wide_characters() -> None:
    from rich.cells import cell_len

    from relay_tui.cli.output import table

    lines = table(("NAME", "STATE"), [("日本語", "running"), ("ab", "stopped")]).splitlines()
    columns = [
        cell_len(line[: line.index(word)]) for line, word in zip(lines, ("STATE", "running", "stopped"), strict=True)
    ]
    assert columns == [8, 8, 8]
