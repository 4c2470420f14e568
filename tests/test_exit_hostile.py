"""Nothing of another repository comes out with a session's work, and nothing runs on the way, whatever it planted."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest
from git_servers import make_repository, run_git
from session_clones import SESSION, Ground, lay

from relay_tui.domain.errors import RelayError
from relay_tui.ports.task import TaskContext

WORD = "nobody-outside-may-read-this"
PATIENCE = 30  # seconds until something hangs


@dataclass(frozen=True)
class Trap:
    """A session's clone, a repository of the host that it must not get at, and a file that only planted code makes."""

    ground: Ground
    secret: Path
    mark: Path

    @property
    def git(self) -> Path:
        """The session's git directory."""
        return self.ground.clone.work_dir / ".git"

    @property
    def commit(self) -> str:
        """A commit of the secret repository."""
        return run_git("rev-parse", "main", cwd=self.secret)

    @property
    def secrets(self) -> list[str]:
        """Every object of it."""
        return run_git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=self.secret).split()

    def point(self, commit: str = "") -> None:
        """Let the session's branch name a commit that it does not have."""
        (self.git / "refs/heads/topic").write_text(f"{commit or self.commit}\n")

    def runs(self) -> str:
        """A command that leaves the mark."""
        return f"touch {self.mark}"


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    """A session with work of its own; the test fails when it takes too long."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("it hangs")

    ground = lay(tmp_path)
    ground.work()
    secret = make_repository(tmp_path / "secret", files={"secret.txt": WORD})
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    yield Trap(ground, secret, tmp_path / "mark")
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# --- what is planted -------------------------------------------------------------------------------------------------


def _alternates(trap: Trap) -> None:
    (trap.git / "objects/info").mkdir(exist_ok=True)
    (trap.git / "objects/info/alternates").write_text(f"{trap.secret}/.git/objects\n")
    trap.point()


def _http_alternates(trap: Trap) -> None:
    (trap.git / "objects/info").mkdir(exist_ok=True)
    (trap.git / "objects/info/http-alternates").write_text(f"{trap.secret}/.git/objects\n")
    trap.point()


def _objects_elsewhere(trap: Trap) -> None:
    shutil.rmtree(trap.git / "objects")
    (trap.git / "objects").symlink_to(trap.secret / ".git/objects")
    trap.point()


def _fan_out_elsewhere(trap: Trap) -> None:
    for directory in (trap.secret / ".git/objects").iterdir():
        if len(directory.name) == 2 and not (trap.git / "objects" / directory.name).exists():
            (trap.git / "objects" / directory.name).symlink_to(directory)
    trap.point()


def _objects_linked(trap: Trap) -> None:
    for file in (trap.secret / ".git/objects").glob("??/*"):
        link = trap.git / "objects" / file.parent.name / file.name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(file)
    trap.point()


def _packs_elsewhere(trap: Trap) -> None:
    run_git("repack", "-adq", cwd=trap.secret)
    shutil.rmtree(trap.git / "objects/pack", ignore_errors=True)
    (trap.git / "objects/pack").symlink_to(trap.secret / ".git/objects/pack")
    trap.point()


def _packs_linked(trap: Trap) -> None:
    run_git("repack", "-adq", cwd=trap.secret)
    (trap.git / "objects/pack").mkdir(exist_ok=True)
    for file in (trap.secret / ".git/objects/pack").iterdir():
        (trap.git / "objects/pack" / file.name).symlink_to(file)
    trap.point()


def _git_elsewhere(trap: Trap) -> None:
    shutil.rmtree(trap.git)
    trap.git.symlink_to(trap.secret / ".git")


def _git_file(trap: Trap) -> None:
    shutil.rmtree(trap.git)
    trap.git.write_text(f"gitdir: {trap.secret}/.git\n")


def _common_dir(trap: Trap) -> None:
    (trap.git / "commondir").write_text(f"{trap.secret}/.git\n")
    trap.point()


def _refs_elsewhere(trap: Trap) -> None:
    shutil.rmtree(trap.git / "refs")
    (trap.git / "refs").symlink_to(trap.secret / ".git/refs")


def _head_elsewhere(trap: Trap) -> None:
    (trap.git / "HEAD").unlink()
    (trap.git / "HEAD").symlink_to(trap.secret / ".git/HEAD")


def _missing_commit(trap: Trap) -> None:
    trap.point()


def _lying_object(trap: Trap) -> None:
    """Plant an object whose content does not match its name."""
    content = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nlie\n"
    file = trap.git / "objects" / trap.commit[:2] / trap.commit[2:]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(zlib.compress(b"commit %d\0%b" % (len(content), content)))
    trap.point()


def _promisor(trap: Trap) -> None:
    """Objects that git would fetch, by a command of the session's, as soon as it misses them."""
    for key, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c {trap.runs().replace(' ', '% ')}",
        "protocol.ext.allow": "always",
    }.items():
        trap.ground.git("config", key, value)
    trap.ground.git("repack", "-adq")
    for pack in (trap.git / "objects/pack").glob("*.pack"):
        pack.with_suffix(".promisor").touch()
    trap.point()


def _executors(trap: Trap) -> None:
    """Whatever git in there would run."""
    script = trap.git / "run"
    script.write_text(f"#!/bin/sh\n{trap.runs()}\n")
    script.chmod(0o755)
    for hook in ("pre-push", "post-checkout", "reference-transaction", "post-index-change", "proc-receive"):
        (trap.git / "hooks").mkdir(exist_ok=True)
        shutil.copy(script, trap.git / "hooks" / hook)
    for key in (
        *("core.fsmonitor", "core.sshCommand", "core.gitProxy", "core.pager", "core.editor", "diff.external"),
        *("credential.helper", "uploadpack.packObjectsHook", "gpg.program", "core.alternateRefsCommand"),
        *("filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.textconv", "merge.x.driver"),
        *("remote.origin.uploadpack", "remote.origin.receivepack", "core.askPass", "alias.fetch"),
    ):
        trap.ground.git("config", key, str(script))
    (trap.ground.clone.work_dir / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    (trap.git / "info").mkdir(exist_ok=True)
    (trap.git / "info/attributes").write_text("* filter=x diff=x merge=x\n")


def _pipes(trap: Trap) -> None:
    for name in ("HEAD", "config", "packed-refs"):
        (trap.git / name).unlink(missing_ok=True)
        os.mkfifo(trap.git / name)


def _object_pipe(trap: Trap) -> None:
    (trap.git / "objects" / trap.commit[:2]).mkdir(exist_ok=True)
    os.mkfifo(trap.git / "objects" / trap.commit[:2] / trap.commit[2:])
    trap.point()


def _indexes(trap: Trap) -> None:
    """Files beside the objects that git believes when it finds them."""
    (trap.git / "objects/info").mkdir(exist_ok=True)
    (trap.git / "objects/info/commit-graph").write_bytes(b"CGPH\1\1\4\0" + b"\xff" * 200)
    (trap.git / "objects/pack").mkdir(exist_ok=True)
    (trap.git / "objects/pack/multi-pack-index").write_bytes(b"MIDX\1\1\4\0" + b"\xff" * 200)
    (trap.git / "shallow").write_text(f"{trap.ground.git('rev-parse', 'HEAD')}\n")
    (trap.git / "info").mkdir(exist_ok=True)
    (trap.git / "info/grafts").write_text(f"{trap.ground.git('rev-parse', 'HEAD')} {trap.commit}\n")


def _broken_pack(trap: Trap) -> None:
    trap.ground.git("repack", "-adq")
    for index in (trap.git / "objects/pack").glob("*.idx"):
        index.chmod(0o644)
        data = bytearray(index.read_bytes())
        data[8:1032] = b"\xff" * 1024
        index.write_bytes(bytes(data))


def _dot_git_in_tree(trap: Trap) -> None:
    """A commit whose checkout would write into the git directory."""
    blob = trap.ground.git("rev-parse", "HEAD:work.txt")
    inner = run_git("mktree", cwd=trap.ground.clone.work_dir, stdin=f"100644 blob {blob}\tconfig\n".encode())
    listing = f"040000 tree {inner}\t.git\n".encode()
    outer = run_git("mktree", cwd=trap.ground.clone.work_dir, stdin=listing)
    trap.point(trap.ground.git("commit-tree", "-m", "x", outer))


PLANTS: dict[str, Callable[[Trap], None]] = {
    name.lstrip("_"): plant
    for name, plant in globals().items()
    if name.startswith("_") and callable(plant) and getattr(plant, "__annotations__", {}).get("trap") == "Trap"
}
HARMLESS = {"executors", "indexes"}
"""With these the session's own work comes out all the same."""


# --- what is done ----------------------------------------------------------------------------------------------------


def _push(trap: Trap) -> None:
    plan = trap.ground.exit.plan_push(trap.ground.clone, trap.ground.source, TaskContext(), branch="topic")
    trap.ground.exit.push(trap.ground.clone, trap.ground.source, plan, TaskContext())


OPERATIONS: dict[str, Callable[[Trap], object]] = {
    "keep": lambda trap: trap.ground.exit.keep(trap.ground.clone, TaskContext()),
    "push": _push,
    "bundle": lambda trap: trap.ground.exit.bundle(trap.ground.clone, trap.ground.root / "out.bundle", TaskContext()),
    "export": lambda trap: trap.ground.exit.export(
        trap.ground.clone, "unused", trap.ground.root / "out", TaskContext()
    ),
    "parcel": lambda trap: _unpack(trap),
}


def _unpack(trap: Trap) -> None:
    with trap.ground.exit.parcel(trap.ground.clone, TaskContext()):
        pass


@pytest.mark.parametrize("plant", PLANTS)
def test_no_operation_runs_leaks_or_hangs(trap: Trap, plant: str) -> None:
    PLANTS["executors"](trap)
    if plant != "executors":
        PLANTS[plant](trap)
    trap.mark.unlink(missing_ok=True)  # of the git that planted
    before = _snapshot(trap.secret)
    failed = set()
    for name, operate in OPERATIONS.items():
        try:
            operate(trap)
        except RelayError as error:
            failed.add(name)
            assert error.title and error.hint, (name, error.title, error.detail)
        assert not trap.mark.exists(), f"{name} ran what was planted"
        assert list(trap.ground.tmp.iterdir()) == [], name
    assert failed in (set(), set(OPERATIONS)), "one operation trusts what another refuses"
    assert bool(failed) is (plant not in HARMLESS)
    _assert_nothing_leaked(trap)
    assert _snapshot(trap.secret) == before
    trap.ground.in_base("fsck", "--strict")


def _assert_nothing_leaked(trap: Trap) -> None:
    places = [trap.ground.clone.base, trap.ground.upstream, trap.ground.root / "out"]
    for place in (place for place in places if place.exists()):
        held = run_git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=place).split()
        assert not set(held) & set(trap.secrets), place
    refs = trap.ground.in_base("for-each-ref", "--format=%(objectname)").split()
    assert trap.commit not in refs
    bundle = trap.ground.root / "out.bundle"
    assert not bundle.exists() or WORD.encode() not in bundle.read_bytes()


def _snapshot(place: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted(place.rglob("*")):
        state = path.lstat()
        found[str(path)] = (stat.S_IFMT(state.st_mode), state.st_mtime_ns)
    return found


def test_a_ref_with_a_name_that_git_refuses_is_kept_under_another(trap: Trap) -> None:
    commit = trap.ground.git("rev-parse", "HEAD")
    (trap.git / "refs/heads/a..b").write_text(f"{commit}\n")
    (trap.git / "refs/heads" / os.fsdecode(b"\xff\x1b]0;x\x07")).write_text(f"{commit}\n")
    refs = trap.ground.exit.keep(trap.ground.clone, TaskContext())
    assert refs[f"refs/relay/{SESSION}/odd/0"] == refs[f"refs/relay/{SESSION}/odd/1"] == commit
