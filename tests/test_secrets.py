"""A token for the upstream is planted, everything is done that could leak it, and every place is searched for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import docker
import pytest
from git_servers import HttpGit, http_server, make_repository, run_git
from installed_relay import Done, InstalledRelay, clear_engine
from waiting import wait_until

TOKEN = "s3cret-t0ken/with:odd@letters"
FORMS = (TOKEN, quote(TOKEN), quote(TOKEN, safe=""), "s3cret-t0ken")
GIT_IMAGE = "relay-test/git"


@dataclass
class Scene:
    """A project cloned with the token in its address, a session pushed by a helper of the user's, and what was seen."""

    relay: InstalledRelay
    server: HttpGit
    root: Path
    said: dict[str, str] = field(default_factory=dict)
    """What each command printed, by its name."""
    arguments: dict[str, bytes] = field(default_factory=dict)
    """The command lines of every process while git spoke with the server, by when and process."""
    environments: dict[str, bytes] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """Directory to which work is saved."""
        return self.root / "out"

    @property
    def tree(self) -> Path:
        """The clone of the session `topic`."""
        return Path(str(self.relay.json("session", "show", "topic")["work_dir"]))

    def run(self, name: str, *arguments: str | Path) -> Done:
        """Run relay, and keep what it printed."""
        done = self.relay.run(*arguments)
        self.said[f"{name} {' '.join(map(str, arguments))}".replace(TOKEN, "TOKEN")] = done.out + done.err
        return done

    def look_at_processes(self, when: str, typed: int) -> None:
        """Note what `ps` could show of every process but `typed`, into which a person typed the token, and of us."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in {typed, os.getpid()}:
                with suppress(OSError):
                    name = f"{when}: {(entry / 'comm').read_text().strip()} {entry.name}"
                    self.arguments[name] = (entry / "cmdline").read_bytes()
                    self.environments[name] = (entry / "environ").read_bytes()


def _add(scene: Scene) -> None:
    """Clone with the token in the address; look at the processes while the server holds its answer back."""
    adding = scene.relay.begin("--debug", "project", "add", scene.server.login("up.git"), "--image", GIT_IMAGE)
    assert scene.server.holding.wait(20)
    scene.look_at_processes("clone", adding.pid)
    scene.server.release()
    out, err = adding.communicate(timeout=60)
    assert adding.returncode == 0, err
    scene.said["project add"] = (out + err).decode()


def _work(scene: Scene) -> None:
    scene.run("create", "session", "create", "up", "--new-branch", "topic")
    (scene.tree / "work.txt").write_text("work\n")
    run_git("add", "work.txt", cwd=scene.tree)
    run_git("commit", "--quiet", "-m", "Work", cwd=scene.tree)


def _push(scene: Scene) -> None:
    """Push by the user's helper; look at the processes while a hook of the upstream takes its time."""
    hooks, waiting, go = scene.root / "served/up.git/hooks", scene.root / "waiting", scene.root / "go"
    hooks.mkdir(exist_ok=True)
    os.mkfifo(go)
    (hooks / "pre-receive").write_text(f"#!/bin/sh\n>{waiting}\nread line <{go}\n")
    (hooks / "pre-receive").chmod(0o755)
    pushing = scene.relay.begin("--debug", "session", "push", "topic", "--yes")
    wait_until(waiting.exists, what="the hook to run")
    scene.look_at_processes("push", 0)
    go.write_text("on\n")
    out, err = pushing.communicate(timeout=60)
    assert pushing.returncode == 0, err
    scene.said["push"] = (out + err).decode()


def _fail(scene: Scene) -> None:
    """Everything that makes git complain, of an address with a token in it too."""
    hook = scene.root / "served/up.git/hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\necho 'see https://ada:{quote(TOKEN, safe='')}@host.example/x' >&2\nexit 1\n")
    (scene.tree / "more.txt").write_text("more\n")
    run_git("add", "more.txt", cwd=scene.tree)
    run_git("commit", "--quiet", "-m", "More", cwd=scene.tree)
    assert "hook declined" in scene.run("declined", "--debug", "session", "push", "topic", "--yes").err
    scene.run("declined", "session", "push", "topic", "--yes", "--json")
    hook.unlink()
    bad = scene.server.login("nowhere.git")
    assert scene.run("bad address", "--debug", "project", "add", bad, "--name", "bad").code == 1
    scene.run("bad address", "project", "show", "bad", "--json")
    wrong = scene.server.login("up.git", password=TOKEN + "-wrong")
    assert scene.run("wrong token", "--debug", "project", "add", wrong, "--name", "wrong").code == 1
    (scene.root / "served/up.git").rename(scene.root / "served/moved.git")
    assert scene.run("gone", "--debug", "project", "fetch", "up").code == 1
    assert scene.run("gone", "--debug", "session", "push", "topic", "--yes", "--json").code == 1
    (scene.root / "served/moved.git").rename(scene.root / "served/up.git")


def _bring_out(scene: Scene) -> None:
    scene.run("fetch", "--debug", "project", "fetch", "up", "--json")
    scene.run("dry", "session", "push", "topic", "--dry-run", "--json")
    scene.run("update", "--debug", "session", "update", "topic", "--json")
    assert scene.run("export", "--debug", "session", "export", "topic", "--to", scene.out / "clone").code == 0
    scene.run("list", "session", "list", "--json")
    scene.run("list", "project", "list", "--json")
    scene.run("kept", "project", "kept", "up", "--json")
    bundle = ("session", "remove", "topic", "--force", "--bundle", scene.out / "work.bundle")
    scene.run("bundle", "--debug", *bundle)
    scene.run("restore", "--debug", "session", "restore", "topic")


@pytest.fixture(scope="module")
def scene(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All of it done once."""
    root = tmp_path_factory.mktemp("secrets")
    make_repository(root / "served/up.git", bare=True)
    helper = root / "users/helper"
    helper.parent.mkdir()
    helper.write_text(f'#!/bin/sh\ntest "$1" = get && printf "username=ada\\npassword=%s\\n" "{TOKEN}"\n')
    helper.chmod(0o700)
    settings = root / "users/gitconfig"
    settings.write_text(f"[credential]\n\thelper = {helper}\n[user]\n\tname = Ada\n\temail = ada@example.org\n")
    relay = InstalledRelay(root / "relay", {"GIT_CONFIG_GLOBAL": str(settings)})
    relay.root.mkdir()
    with http_server(root / "served", username="ada", password=TOKEN, hold_after=0) as server:
        scene = Scene(relay, server, root)
        scene.out.mkdir()
        for step in (_add, _work, _push, _fail, _bring_out):
            step(scene)
        yield scene
    clear_engine(engine, root)


def _holding(words: str | bytes) -> list[str]:
    """The spellings of the token in there."""
    data = words.encode() if isinstance(words, str) else words
    return [form for form in FORMS if form.encode() in data]


def test_the_scene_is_real(scene: Scene) -> None:
    """The token was needed, and the searching finds what is there."""
    assert run_git("rev-parse", "topic", cwd=scene.root / "served/up.git")
    assert any("git-remote-http" in name for name in scene.arguments)
    assert any(b"up.git" in command for command in scene.arguments.values())
    assert _holding((scene.root / "users/helper").read_bytes())
    assert (scene.out / "work.bundle").stat().st_size and (scene.out / "clone/work.txt").exists()


def test_not_in_any_git_configuration(scene: Scene) -> None:
    configs = [path for path in scene.root.rglob("config") if "users" not in path.parts]
    assert len(configs) >= 4
    assert [path for path in configs if _holding(path.read_bytes())] == []


def test_not_where_the_container_looks(scene: Scene) -> None:
    script = (
        "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; git remote -v; git config --list;"
        " cat ~/.gitconfig; grep -r s3cret / --include=* -s --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev"
    )
    done = scene.relay.run("session", "shell", "topic", "--", "sh", "-c", script)
    assert "origin" in done.out and "RELAY_SESSION" in done.out
    assert _holding(done.out + done.err) == []


def test_not_in_any_command_line(scene: Scene) -> None:
    assert {name: _holding(command) for name, command in scene.arguments.items() if _holding(command)} == {}


def test_not_in_any_environment(scene: Scene) -> None:
    assert {name: _holding(env) for name, env in scene.environments.items() if _holding(env)} == {}


def test_not_in_what_git_says_of_its_remotes(scene: Scene) -> None:
    bases = list(scene.relay.data.glob("projects/*/base.git"))
    for place in (scene.tree, scene.out / "clone", *bases):
        assert "http://127.0.0.1" in run_git("remote", "-v", cwd=place)
        assert _holding(run_git("remote", "-v", cwd=place)) == []


def test_not_in_any_word_that_is_printed(scene: Scene) -> None:
    assert any("declined" in name for name in scene.said)
    assert {name: _holding(words) for name, words in scene.said.items() if _holding(words)} == {}


def test_not_in_relays_log(scene: Scene) -> None:
    logs = list((scene.relay.root / "state").rglob("*.log"))
    assert logs and b"***@host.example" in logs[0].read_bytes()
    assert [path for path in logs if _holding(path.read_bytes())] == []


def test_not_in_a_bundle_or_an_export(scene: Scene) -> None:
    unpacked = scene.out / "unpacked"
    run_git("clone", "--quiet", str(scene.out / "work.bundle"), str(unpacked), cwd=scene.out)
    files = [path for path in scene.out.rglob("*") if path.is_file()]
    assert [path for path in files if _holding(path.read_bytes())] == []


def test_nowhere_in_anything_that_relay_keeps(scene: Scene) -> None:
    for form in FORMS:
        assert scene.relay.holds(form) == []
    assert not list((scene.relay.data / "tmp").iterdir())
