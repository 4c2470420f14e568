"""Directories in the data dir: surveyed, moved to the trash and back, measured, deleted and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay_tui.adapters.filesystem.data_files import DataFiles
from relay_tui.domain.errors import FileSystemError, NotFoundError
from relay_tui.paths import DataDir, config_file, default_data_dir


@pytest.fixture
def place(tmp_path: Path) -> DataDir:
    """An empty data dir."""
    place = DataDir(tmp_path / "data")
    place.prepare()
    return place


@pytest.fixture
def files(place: DataDir) -> DataFiles:
    """Its directories."""
    return DataFiles(place)


def clone(path: Path, words: str = "work") -> Path:
    """Something that looks like a whole session clone."""
    (path / ".git").mkdir(parents=True)
    (path / "file").write_text(words)
    return path


def test_the_data_dir_is_its_owners_alone(tmp_path: Path) -> None:
    place = DataDir(tmp_path / "a/b")
    place.root.mkdir(parents=True, mode=0o755)
    place.prepare()
    place.prepare()
    for path in (place.root, *place.root.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o700, path


def test_a_data_dir_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileSystemError) as caught:
        DataDir(tmp_path / "file/data").prepare()
    assert str(tmp_path / "file/data") in caught.value.title
    assert "--data-dir" in caught.value.hint


def test_where_things_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative is not heeded")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RELAY_CONFIG", raising=False)
    monkeypatch.delenv("RELAY_DATA_DIR", raising=False)
    assert default_data_dir() == tmp_path / "share/relay"
    assert config_file() == tmp_path / ".config/relay/config.toml"
    monkeypatch.setenv("RELAY_DATA_DIR", "~/mine")
    monkeypatch.setenv("RELAY_CONFIG", "~/c.toml")
    assert (default_data_dir(), config_file()) == (tmp_path / "mine", tmp_path / "c.toml")


def test_the_trash_takes_and_gives_back_the_newest(place: DataDir, files: DataFiles) -> None:
    path = place.session("p1", "s1")
    for words in ("older", "newer"):
        files.to_trash(clone(path, words), "s1")
        assert not path.exists()
    assert [entry.name for entry in files.trash_entries()] == ["s1", "s1"]
    files.from_trash("s1", path)
    assert (path / "file").read_text() == "newer"
    files.to_trash(place.session("p1", "never was"), "s2")
    with pytest.raises(NotFoundError, match="no longer in the trash"):
        files.from_trash("s2", path)


def test_what_relay_did_not_put_there_is_not_taken_for_its_own(place: DataDir, files: DataFiles) -> None:
    (place.trash / "notes").mkdir()
    (place.trash / "my-notes").mkdir()
    (place.trash / "s1-123-4").write_text("a file")
    (place.trash / "s2-123-4").symlink_to(place.root)
    assert files.trash_entries() == []


def test_a_survey_tells_whole_clones_from_cut_ones(place: DataDir, files: DataFiles) -> None:
    place.base("p1").mkdir(parents=True)
    (place.base("p1") / "HEAD").write_text("ref")
    place.base("p2").mkdir(parents=True)  # nothing in it yet
    clone(place.session("p1", "s1"))
    place.session("p1", "s2").mkdir(parents=True)
    cut = place.project("p2") / "base.git.partial-x"
    cut.mkdir()
    files.to_trash(clone(place.session("p1", "s3")), "s3")
    disk = files.survey()
    assert (disk.bases, dict(disk.clones), disk.partials, disk.trash) == (
        frozenset({"p1"}),
        {"s1": "p1"},
        (cut,),
        frozenset({"s3"}),
    )


def test_deleting_knows_read_only_trees_and_follows_no_symlink(
    place: DataDir, files: DataFiles, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("")
    tree = clone(place.trash / "s1-1-1")
    (tree / "link").symlink_to(outside)
    locked = tree / "locked"
    locked.mkdir()
    (locked / "file").write_text("")
    locked.chmod(0o500)
    assert files.delete(tree)
    assert not tree.exists()
    assert (outside / "keep").exists()
    assert files.delete(tree)  # gone already
    (place.trash / "link").symlink_to(outside)
    files.delete(place.trash / "link")
    assert (outside / "keep").exists()


def test_deleting_keeps_to_the_data_dir(place: DataDir, files: DataFiles, tmp_path: Path) -> None:
    for path in (tmp_path, place.root, tmp_path / "elsewhere"):
        with pytest.raises(FileSystemError, match="outside the data directory"):
            files.delete(path)
    assert place.root.exists()


def test_measuring_counts_what_is_on_disk_and_no_symlinks_target(place: DataDir, files: DataFiles) -> None:
    tree = clone(place.session("p1", "s1"))
    before = files.measure(tree)
    (tree / "big").write_bytes(os.urandom(1 << 20))
    (tree / "link").symlink_to(tree / "big")
    assert 1 << 20 <= files.measure(tree) - before < 2 << 20
    assert files.measure(place.root / "nowhere") == 0


def test_the_file_systems_refusal_keeps_its_words(place: DataDir, files: DataFiles) -> None:
    (place.root / "file").write_text("")
    with pytest.raises(FileSystemError) as caught:
        files.make_directory(place.root / "file/below")
    assert "Not a directory" in caught.value.detail


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_without_du_and_rm_trees_are_measured_and_deleted_all_the_same(
    place: DataDir, files: DataFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    outside = clone(tmp_path / "outside")
    tree = clone(place.session("p1", "s1"), "x" * 100_000)
    (tree / "twice").hardlink_to(tree / "file")
    (tree / "link").symlink_to(outside)
    closed = tree / "closed/inner"
    closed.mkdir(parents=True)
    (closed / "file").write_text("x")
    expected = files.measure(tree)
    closed.parent.chmod(0o500)
    monkeypatch.setenv("PATH", path)
    assert files.measure(tree) == expected >= 100_000
    assert files.measure(place.session("p1", "none")) == 0
    assert files.delete(tree)
    assert not os.path.lexists(tree)
    assert (outside / "file").read_text() == "work"
    assert files.delete(tree)
