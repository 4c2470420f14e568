"""LFS content: saved and pushed together with the commits that point to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import missing
from git_servers import run_git
from session_clones import Ground, lay

from relay_tui.domain.errors import GitError
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

DATA = b"\0art" * 1000
NAME = sha256(DATA).hexdigest()
PLACE = f"lfs/objects/{NAME[:2]}/{NAME[2:4]}/{NAME}"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A session that committed an LFS file."""
    if shutil.which("git-lfs") is None:
        missing("no git-lfs")
    ground = lay(tmp_path)
    ground.git("lfs", "install", "--local", "--skip-repo")
    (ground.clone.work_dir / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (ground.clone.work_dir / "big.bin").write_bytes(DATA)
    ground.git("add", "-A")
    ground.git("commit", "--quiet", "-m", "Art")
    assert (ground.clone.work_dir / ".git" / PLACE).exists()
    yield ground
    assert list(ground.tmp.iterdir()) == []


def test_it_goes_to_the_upstream_with_a_push(ground: Ground) -> None:
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    assert plan.lfs_files == 1
    ground.exit.push(ground.clone, ground.source, plan, TaskContext())
    assert (ground.upstream / PLACE).read_bytes() == DATA
    assert ground.exit.plan_push(ground.clone, ground.source, TaskContext()).lfs_files == 0


def test_it_is_kept_and_exported(ground: Ground, tmp_path: Path) -> None:
    ground.exit.keep(ground.clone, TaskContext())
    ground.clone.work_dir.rename(tmp_path / "gone")
    ground.exit.export(ground.clone, str(ground.upstream), tmp_path / "mine", TaskContext())
    assert (tmp_path / "mine/.git" / PLACE).read_bytes() == DATA
    run_git("lfs", "install", "--local", cwd=tmp_path / "mine")
    run_git("lfs", "checkout", cwd=tmp_path / "mine")
    assert (tmp_path / "mine/big.bin").read_bytes() == DATA


def test_what_is_not_what_its_name_says_does_not_come(ground: Ground) -> None:
    file = ground.clone.work_dir / ".git" / PLACE
    file.chmod(0o644)
    file.write_bytes(b"something else")
    ground.exit.keep(ground.clone, TaskContext())
    assert not (ground.clone.base / PLACE).exists()


def test_nor_what_lies_elsewhere(ground: Ground, tmp_path: Path) -> None:
    file = ground.clone.work_dir / ".git" / PLACE
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    ground.exit.keep(ground.clone, TaskContext())
    assert not (ground.clone.base / PLACE).exists()


def test_without_git_lfs_it_is_said_before_anything_goes(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "git-lfs" else which(name))
    with pytest.raises(GitError, match="Cannot send 1 LFS file"):
        ground.exit.push(ground.clone, ground.source, plan, TaskContext())
    assert run_git("branch", "--list", "topic", cwd=ground.upstream) == ""


def test_an_lfsconfig_does_not_lead_it_astray(ground: Ground, tmp_path: Path) -> None:
    run_git("fetch", "--quiet", cwd=ground.other)
    ground.upstream_moves(".lfsconfig", f"[lfs]\n\turl = file://{tmp_path}/trap\n")
    plan = ground.exit.plan_push(ground.clone, ground.source, TaskContext())
    with pytest.raises(GitError, match="names a path on this host"):
        ground.exit.push(ground.clone, CloneSource("https://127.0.0.1:1/x.git"), plan, TaskContext())
    assert not (tmp_path / "trap").exists()
