"""Shell completion: the right candidates, safe ones only, and silence whatever is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from conftest import missing
from git_servers import make_repository, run_git
from installed_relay import PROGRAM, InstalledRelay
from terminal_screen import TerminalScreen

from relay_tui.adapters.git.branch_names import branch_names
from relay_tui.adapters.store import TinyDBStore
from relay_tui.adapters.store.readonly import read_records
from relay_tui.cli.completion import parameters
from relay_tui.cli.main import relay as relay_command
from relay_tui.cli.shells import split_line
from relay_tui.domain.errors import Fault, StoreError
from relay_tui.domain.models import CloneState, Project, Record, Session
from relay_tui.paths import DataDir

SHELLS = ("bash", "zsh", "fish")
RUNS_CODE = "evil/$(touch${IFS}pwned)"
ODD_BRANCHES = (RUNS_CODE, "quo/it's", 'dq/a"b', "semi;id", "back`id`", "wow!", "brace{a,b}", "pct%F{red}", "é/ü")
HIDDEN_BRANCHES = ("bidi\u202egnp", "-option", "c1\u009b31m")
WEB = Project(
    id="0p1web", name="web", source="https://host.example/web.git", clone_state=CloneState.READY, created_at="1"
)
API = replace(WEB, id="0p2api", name="api", source="/srv/api", default_image="python:3.12", created_at="2")
OLD = replace(WEB, id="0p3old", name="old", created_at="3", deleted_at="2026-01-01T00:00:00.000Z")
MAIN = Session(
    id="0s1main",
    project_id=WEB.id,
    name="main",
    branch="main",
    base_branch="main",
    image="node:22",
    profile="default",
    work_dir="/nowhere",
    created_at="1",
)
FIX = replace(MAIN, id="0s2fix", name="fix", branch="feature/login", image="reg.example:5000/x/y:1", created_at="2")
API_MAIN = replace(MAIN, id="0s3main", project_id=API.id, image="", created_at="3")
GONE = replace(MAIN, id="0s4gone", name="gone", image="gone:1", created_at="4", deleted_at="2026-01-02T00:00:00.000Z")
WITH_OLD = replace(GONE, id="0s5gone", project_id=OLD.id, created_at="5")
RECORDS: tuple[Record, ...] = (WEB, API, OLD, MAIN, FIX, API_MAIN, GONE, WITH_OLD)


def answer(relay: InstalledRelay, line: str, shell: str = "bash", **env: str) -> list[str]:
    """Ask as the script of `shell` does; return the kind and the values. Nothing else may be printed."""
    asked = {"_RELAY_COMPLETE": f"{shell}_complete", "COMP_LINE": line, "COMP_WORD": line.rpartition(" ")[2]}
    done = replace(relay, more={**relay.more, **asked, **env}).run()
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


def answer_all(relay: InstalledRelay, lines: Iterable[str], shell: str) -> dict[str, list[str]]:
    """Ask for many lines in one process."""
    script = (
        "import os, sys; from relay_tui.cli import run\n"
        "for line in sys.argv[1:]: os.environ['COMP_LINE'] = line; run([]); print('END', end='')"
    )
    env = {**relay.env, "_RELAY_COMPLETE": f"{shell}_complete"}
    command = (sys.executable, "-c", script, *lines)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    answers = done.stdout.split("END")[:-1]
    return dict(zip(lines, map(str.splitlines, answers), strict=True))


def values(relay: InstalledRelay, line: str, shell: str = "bash", **env: str) -> list[str]:
    """Ask for values; return them."""
    lines = answer(relay, line, shell, **env)
    assert lines[:1] in ([], ["plain"], [""])
    return lines[1:]


def write_store(relay: InstalledRelay) -> None:
    """Write RECORDS, and nothing but the store."""
    with TinyDBStore(relay.data / "store.json").transaction() as change:
        for record in RECORDS:
            change.put(record)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> InstalledRelay:
    """Two projects, one with a base clone of odd branches; sessions; removed ones; profiles. Tests change nothing."""
    relay = InstalledRelay(tmp_path_factory.mktemp("world"))
    write_store(relay)
    relay.config.write_text(
        'image = "base:1"\n[profiles.node]\nimage = "node:20"\n[profiles.offline]\nnetwork = "none"\n'
    )
    base = make_repository(DataDir(relay.data).base(WEB.id), branches=("main", "feature/login"), bare=True)
    for name in ODD_BRANCHES + HIDDEN_BRANCHES:
        run_git("update-ref", f"refs/heads/{name}", "main", cwd=base)
    run_git("pack-refs", "--all", cwd=base)
    run_git("update-ref", "refs/heads/feature/logout", "main", cwd=base)
    return relay


# --- candidates ------------------------------------------------------------------------------------------------------


VALUES = {
    "relay se": ["session"],
    "relay session sho": ["show"],
    "relay session create web --new": ["--new-branch"],
    "relay project show ": ["api", "web"],
    "relay project show w": ["web"],
    "relay project show 0p1": ["0p1web"],
    "relay project show o": [],
    "relay project restore ": ["old"],
    "relay project kept ": ["api", "web"],
    "relay session create a": ["api"],
    "relay session list --project ": ["api", "web"],
    "relay session list --project=w": ["--project=web"],
    "relay session show ": ["api/main", "web/fix", "web/main"],
    "relay session show web/": ["web/fix", "web/main"],
    "relay session show f": ["fix"],
    "relay session show m": [],  # two sessions have that name
    "relay session show 0s": ["0s1main", "0s2fix", "0s3main"],
    "relay session restore ": ["web/gone"],
    "relay session restore g": ["gone"],
    "relay session export ": ["api/main", "old/gone", "web/fix", "web/gone", "web/main"],
    "relay session shell web/f": ["web/fix"],
    "relay session shell web/fix -- ": [],
    "relay profile show ": ["default", "node", "offline"],
    "relay session create web --profile n": ["node"],
    "relay project add x --profile o": ["offline"],
    "relay session retry web/fix --image n": ["node:20", "node:22"],
    "relay session create web --image ": ["base:1", "node:20", "node:22", "python:3.12", "reg.example:5000/x/y:1"],
    "relay session create web --branch feature/": ["feature/login", "feature/logout"],
    "relay session create web --new-branch x --from m": ["main"],
    "relay session create --branch x web --from m": ["main"],
    "relay session create --branch ": [],  # of no project yet
    "relay session create api --branch ": [],  # which has no clone
    "relay session push web/fix --branch ": ["feature/login"],
    "relay project add web --branch ": [],  # those of a clone that is still to be made
    "relay session create web --runtime ": ["auto", "docker", "process"],
    "relay session diff fix --against ": ["head", "branch-point", "upstream"],
    "relay session logs fix --since ": [],
    "relay completion ": ["bash", "zsh", "fish"],
    "relay session show main fix ": [],
}
"""What the words at the end of lines can become."""

PATHS = {
    "relay project add ": ["dir"],
    "relay project retry web --source /sr": ["dir"],
    "relay session export fix --to ": ["file"],
    "relay session remove fix --bundle=a": ["file"],
    "relay --data-dir ": ["dir"],
    "relay session show --data-dir ": ["dir"],
}


def test_values_of_each_parameter(world: InstalledRelay) -> None:
    answers = answer_all(world, VALUES, "fish")
    assert {line: [value.partition("\t")[0] for value in given[1:]] for line, given in answers.items()} == VALUES
    assert {kind for given in answers.values() for kind in given[:1]} == {"plain", ""}


@pytest.mark.parametrize("shell", SHELLS)
def test_paths_are_left_to_the_shell(world: InstalledRelay, shell: str) -> None:
    assert answer_all(world, PATHS, shell) == PATHS


FREE = {
    *("project add --name", "project add --branch", "session create --name", "session create --new-branch"),
    *("session export --as", "session logs --tail", "session logs --since", "session shell [-- CMD...]"),
    *("doctor --timeout", "purge --older-than"),
}
"""Parameters whose values only the person knows."""


def test_every_parameter_is_completed_unless_its_value_is_free() -> None:
    free = {
        named.full_name
        for named in parameters(relay_command)
        if not (named.values or isinstance(named.parameter.type, click.Choice | click.Path))
        and not (isinstance(named.parameter, click.Option) and named.parameter.is_flag)
    }
    assert free == FREE


def test_descriptions_where_the_shell_shows_them(world: InstalledRelay) -> None:
    assert values(world, "relay session show web/f", "fish") == ["web/fix\tfeature/login"]
    assert values(world, "relay session show web/f", "zsh") == ["web/fix:feature/login"]
    assert values(world, "relay project show web", "zsh") == ["web:https://host.example/web.git"]
    assert values(world, "relay session retry fix --image node:22", "zsh") == ["node\\:22"]


@pytest.mark.parametrize("line", ["relay --data-dir {} project show ", "relay project show --data-dir={} "])
def test_data_dir_on_the_line_is_used(world: InstalledRelay, tmp_path: Path, line: str) -> None:
    other = InstalledRelay(tmp_path, {"PLACE": str(world.root), "HOME": str(world.root)})
    for typed in (str(world.data), f"'{world.data}'", "$PLACE/data", "~/data"):
        assert values(other, line.format(typed)) == ["api", "web"], typed
    assert not other.data.exists()


# --- safety ----------------------------------------------------------------------------------------------------------


def test_branches_that_a_terminal_would_obey_are_left_out(world: InstalledRelay) -> None:
    assert set(branch_names(DataDir(world.data).base(WEB.id))) > {*ODD_BRANCHES, *HIDDEN_BRANCHES}
    for shell in SHELLS:
        offered = values(world, "relay session create web --branch ", shell)
        assert len(offered) == len(ODD_BRANCHES) + 3
        assert all(line.isprintable() for line in offered)


def test_other_than_ascii_is_left_out_where_the_locale_is_not_utf_8(world: InstalledRelay) -> None:
    assert values(world, "relay session create web --branch é", LC_ALL="C") == []
    assert values(world, "relay session create web --branch é") == ["é/ü"]


@pytest.mark.parametrize(("begun", "quote"), [("", ""), ("'", "'"), ('"', '"')])
def test_bash_reads_each_branch_as_it_is_called(world: InstalledRelay, begun: str, quote: str) -> None:
    lines = values(world, f"relay session create web --branch {begun}", COMP_WORD="")
    script = "\n".join(f"printf '%s\\n' {begun}{line}{quote}" for line in lines)
    read = subprocess.run(("bash", "-c", script), capture_output=True, text=True, check=True, cwd=world.root)
    expected = {*ODD_BRANCHES, "main", "feature/login", "feature/logout"} - ({"wow!"} if quote == '"' else set())
    assert read.stderr == ""
    assert set(read.stdout.splitlines()) == expected


@pytest.mark.parametrize(
    ("line", "replaced", "expected"),
    [
        ("relay session retry fix --image node:2", "2", ["20", "22"]),
        ("relay session retry fix --image node:", "", ["20", "22"]),
        ("relay session retry fix --image=reg.example:5", "5", ["5000/x/y:1"]),
        ("relay session retry fix --image=n", "n", ["node:20", "node:22"]),
        (
            "relay session retry fix --image=",
            "",
            ["base:1", "node:20", "node:22", "python:3.12", "reg.example:5000/x/y:1"],
        ),
        ('relay session retry fix --image "node:2', "node:2", ["node:20", "node:22"]),
        ("relay session retry fix --image=no", "--image=no", ["--image=node:20", "--image=node:22"]),
    ],
)
def test_bash_replaces_what_is_behind_its_last_word_break(
    world: InstalledRelay, line: str, replaced: str, expected: list[str]
) -> None:
    assert values(world, line, COMP_WORD=replaced) == expected


@pytest.mark.parametrize(
    ("line", "words", "word"),
    [
        ("", [], ("", "", "")),
        ("relay ", ["relay"], ("", "", "")),
        ("relay  a b", ["relay", "a"], ("b", "b", "")),
        (r"relay a\ b 'c d' \"e", ["relay", "a b", "c d"], (r"\"e", '"e', "")),
        ("relay 'it", ["relay"], ("'it", "it", "'")),
        (r'relay "a\$b\c', ["relay"], (r'"a\$b\c', r"a$b\c", '"')),
        ("relay '' x", ["relay", ""], ("x", "x", "")),
        ("relay a\\", ["relay"], ("a\\", "a", "")),
    ],
)
def test_line_is_split_as_a_shell_does(line: str, words: list[str], word: tuple[str, str, str]) -> None:
    assert split_line(line) == (words, word)


# --- what must not happen --------------------------------------------------------------------------------------------

LINES = ("relay session show ", "relay project show ", "relay session create web --branch ", "relay profile show ")


def _no_data(_: InstalledRelay) -> None: ...


def _garbage(relay: InstalledRelay) -> None:
    relay.data.mkdir()
    (relay.data / "store.json").write_bytes(b"{\xff")


def _other_json(relay: InstalledRelay) -> None:
    relay.data.mkdir()
    (relay.data / "store.json").write_text('{"projects": [], "sessions": {"x": 3, "y": {"id": "y", "name": 4}}}')


def _pipe(relay: InstalledRelay) -> None:
    relay.data.mkdir()
    os.mkfifo(relay.data / "store.json")


def _directory(relay: InstalledRelay) -> None:
    (relay.data / "store.json").mkdir(parents=True)


def _link_to_itself(relay: InstalledRelay) -> None:
    relay.data.symlink_to(relay.data)


@pytest.mark.parametrize("spoil", [_no_data, _garbage, _other_json, _pipe, _directory, _link_to_itself])
def test_without_a_usable_store_there_is_silence(tmp_path: Path, spoil: Callable[[InstalledRelay], None]) -> None:
    relay = InstalledRelay(tmp_path)
    spoil(relay)
    relay.config.write_text("this is no configuration")
    before = _tree(tmp_path)
    for line in LINES:
        assert values(relay, line) == []
    assert _tree(tmp_path) == before
    assert values(relay, "relay se") == ["session"]


def test_broken_configuration_spoils_nothing_else(tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path)
    write_store(relay)
    relay.config.write_text("image = [")
    assert values(relay, "relay profile show ") == []
    assert values(relay, "relay project show w") == ["web"]
    assert values(relay, "relay session retry fix --image n") == ["node:22"]


def test_nothing_is_written_or_locked(world: InstalledRelay) -> None:
    before = _tree(world.root)
    for line in LINES:
        assert values(world, line)
    assert _tree(world.root) == before


@pytest.mark.parametrize("instruction", ["bash_complete", "nonsense", "powershell_complete", "bash_nonsense", ""])
def test_wrong_requests_are_answered_with_silence(tmp_path: Path, instruction: str) -> None:
    relay = InstalledRelay(tmp_path, {"_RELAY_COMPLETE": instruction})
    done = relay.run("doctor" if not instruction else "x", "--nonsense")
    if instruction:  # without COMP_LINE
        assert (done.code, done.out, done.err) == (0, "", "")
    else:
        assert done.code == 2


def test_slow_modules_are_not_imported(world: InstalledRelay) -> None:
    listing = "import sys; from relay_tui.cli import run; run([]); print('LOADED', *sys.modules, file=sys.stderr)"
    for line in ("relay session show ", "relay session create web --branch ", "relay session retry fix --image "):
        env = {**world.env, "_RELAY_COMPLETE": "zsh_complete", "COMP_LINE": line}
        done = subprocess.run((sys.executable, "-c", listing), env=env, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("plain\n")
        loaded = set(done.stderr.partition("LOADED ")[2].split())
        assert "relay_tui.cli.shells" in loaded
        slow = {"textual", "rich", "docker", "git", "tinydb", "requests", "psutil", "pygments", "subprocess", "asyncio"}
        own = {"relay_tui.bootstrap.container", "relay_tui.bootstrap.demo", "relay_tui.ui", "relay_tui.services.relay"}
        own |= {"relay_tui.services.sessions.service", "relay_tui.services.projects", "relay_tui.adapters.git.adapter"}
        assert not loaded & (slow | own)


def _tree(root: Path) -> dict[str, tuple[int, int]]:
    """Everything below `root`, with mode and time of change."""
    found = {}
    for path in root.rglob("*"):
        stat = path.lstat()
        found[str(path)] = (stat.st_mode, stat.st_mtime_ns)
    return found


# --- readers ---------------------------------------------------------------------------------------------------------


def test_store_is_read_as_the_store_reads_itself(tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path)
    assert not read_records(relay.data / "store.json").sessions
    write_store(relay)
    store = TinyDBStore(relay.data / "store.json")
    with store.transaction() as change:
        change.put(replace(WEB, id="0p4", clone_error=Fault("git", "It failed"), created_at="0"))
        change.put(replace(MAIN, id="0s6", notes=("no LFS",), exit_code=3, created_at="0"))
    assert read_records(relay.data / "store.json") == store.read()
    assert list(read_records(relay.data / "store.json").sessions) == list(store.read().sessions)


def test_rows_that_are_none_are_left_out(tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path)
    write_store(relay)
    path = relay.data / "store.json"
    document = json.loads(path.read_bytes())
    document["sessions"] |= {"a": 3, "b": [], "c": {"id": "c"}, "d": None}
    path.write_text(json.dumps(document))
    assert len(read_records(path).sessions) == 5
    path.write_text("[]")
    with pytest.raises(StoreError):
        read_records(path)


def test_branches_are_those_that_git_lists(tmp_path: Path) -> None:
    base = make_repository(tmp_path / "base.git", branches=("main", "a/b/c", "packed", "gone"), tags=("v1",), bare=True)
    run_git("pack-refs", "--all", cwd=base)
    run_git("update-ref", "-d", "refs/heads/gone", cwd=base)
    run_git("update-ref", "refs/heads/loose/one", "packed", cwd=base)
    run_git("update-ref", "refs/heads/main", "packed", cwd=base)  # packed and loose
    (base / "refs/heads/loose/two.lock").write_text("")
    (base / "refs/heads/empty").write_text("")  # as a crash leaves it
    (base / "refs/heads/root").symlink_to("/")
    listed = ["a/b/c", "loose/one", "main", "packed"]
    assert [name for name in branch_names(base) if name != "root"] == listed
    (base / "refs/heads/root").unlink()
    (base / "refs/heads/empty").unlink()
    (base / "reftable").mkdir()  # git is asked then
    assert branch_names(base) == listed


# --- real shells -----------------------------------------------------------------------------------------------------

SET_UP = {
    "bash": (".bashrc", "PS1='$ '\nsource <(relay completion bash)\nrelay() { printf '<%s>\\n' \"$@\"; }\n"),
    "zsh": (
        ".zshrc",
        "PS1='$ '\nautoload -Uz compinit\ncompinit -u -D\nsource <(relay completion zsh)\n"
        "relay() { printf '<%s>\\n' \"$@\" }\n",
    ),
    "fish": (
        "fish/config.fish",
        "set -g fish_autosuggestion_enabled 0\nfunction fish_prompt; echo '$ '; end\nrelay completion fish | source\n"
        "function relay; printf '<%s>\\n' $argv; end\n",
    ),
}
"""Shells that complete relay, and in which it is a function that only shows what it is given."""


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, world: InstalledRelay, tmp_path: Path) -> Iterator[TerminalScreen]:
    """A shell on a terminal, in a directory of its own."""
    shell: str = request.param
    for program in (shell, "tmux"):
        if shutil.which(program) is None:
            missing(f"no {program}")
    home = tmp_path / "home"
    (home / "fragments").mkdir(parents=True)
    name, script = SET_UP[shell]
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text(script + f"cd {home}\n")
    command = {"bash": ("bash", "--rcfile", str(home / name), "-i"), "zsh": ("zsh", "-d", "-i")}.get(
        shell, (shell, "-i")
    )
    env = world.env | {"HOME": str(home), "ZDOTDIR": str(home), "XDG_CONFIG_HOME": str(home)}
    env["PATH"] = f"{PROGRAM.parent}:{env['PATH']}"
    screen = TerminalScreen(tmp_path / "terminal", command, width=100, height=40, env=env)
    yield screen
    screen.close()
    assert [path.name for path in home.iterdir() if path.name == "pwned"] == []


def test_shells_insert_one_whole_word(terminal: TerminalScreen) -> None:
    terminal.wait_for(r"^\$")
    for typed, shown, argument in [
        ("relay se", "session", "session"),
        ("relay session show web/f", "web/fix", "web/fix"),
        ("relay session create web --branch ev", "pwned", RUNS_CODE),
        ("relay session create web --branch 'ev", "pwned", RUNS_CODE),
        ("relay session create web --branch quo", "quo/it", "quo/it's"),
        ("relay session retry fix --image reg", "y:1", "reg.example:5000/x/y:1"),
        ("relay session retry fix --image=reg", "y:1", "--image=reg.example:5000/x/y:1"),
        ("relay session retry fix --image reg.example:", "y:1", "reg.example:5000/x/y:1"),
        ("relay session export web/fix --to=frag", "fragments", "--to=fragments"),
        ("relay project add frag", "fragments", "fragments"),
    ]:
        terminal.type(typed)
        terminal.press("Tab")
        terminal.wait_for(rf"^\$ .*{shown}")
        terminal.press("Enter")
        terminal.wait_for(f"^{re.escape(f'<{argument}')}/?>$")  # zsh takes the slash of a directory away again
        terminal.press("C-l")
        terminal.wait_gone("^<")


# --- the script ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_printed(tmp_path: Path, shell: str) -> None:
    relay = InstalledRelay(tmp_path)
    done = relay.run("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_RELAY_COMPLETE={shell}_complete" in done.out
    assert done.out == replace(relay, more={"_RELAY_COMPLETE": f"{shell}_source"}).run().out
    if shutil.which(shell) is None:
        missing(f"no {shell}")
    checked = subprocess.run((shell, "-n"), input=done.out, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert not relay.data.exists()


def test_unknown_shell_is_wrong_usage(tmp_path: Path) -> None:
    assert InstalledRelay(tmp_path).run("completion", "csh").code == 2
