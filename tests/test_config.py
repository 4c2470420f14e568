"""config.toml: the allowed content, and the report of a mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay_tui.config import DEFAULT_IMAGE, Config, load, parse_size
from relay_tui.domain.errors import ConfigError, InvalidInputError, RelayError


def written(directory: Path, text: str) -> Path:
    path = directory / "config.toml"
    path.write_text(text)
    return path


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    text = """
        image = "debian:12"
        profile = "agent"
        glyphs = "ascii"
        theme = "nord"
        log_lines = 250000
        log_bytes = "128m"
        [profiles.agent]
        image = "node:22"
        command = "npm test"
        tty = false
        env = { CI = "1", N = 2 }
        user = "1000:1000"
        cpus = 1.5
        memory = "4g"
        pids = 100
        network = "none"
        capabilities = ["NET_BIND_SERVICE"]
        new_privileges = true
        [profiles.words]
        command = ["make", "-j", "two words"]
        memory = 8388608
        [profiles.idle]
        command = " "
    """
    config = load(written(tmp_path, text))
    agent = config.find_profile("")
    assert (config.image, config.glyphs, config.theme, agent.name) == ("debian:12", "ascii", "nord", "agent")
    assert (config.log_lines, config.log_bytes) == (250_000, 128 << 20)
    assert (agent.image, agent.command, agent.tty) == ("node:22", ("/bin/sh", "-c", "npm test"), False)
    assert (dict(agent.env), agent.user) == ({"CI": "1", "N": "2"}, "1000:1000")
    assert (agent.cpus, agent.memory, agent.pids) == (1.5, 4 << 30, 100)
    assert (agent.network, agent.capabilities, agent.new_privileges) == ("none", ("NET_BIND_SERVICE",), True)
    words = config.find_profile("words")
    assert (words.command, words.memory) == (("make", "-j", "two words"), 8 << 20)
    assert config.find_profile("idle").command == ()


def test_nothing_configured_means_the_hardened_defaults(tmp_path: Path) -> None:
    config = load(tmp_path / "none.toml")
    profile = config.find_profile("")
    assert config == Config(path=tmp_path / "none.toml")
    assert (config.image, profile.user, profile.capabilities) == (DEFAULT_IMAGE, "host", ())
    assert not profile.new_privileges


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("imgae = 'x'", "imgae"),
        ("image = 3", "image"),
        ('image = "a\\nb"', "image"),
        ("glyphs = 'emoji'", "glyphs"),
        ("profile = 'nope'", "profile"),
        ("log_lines = 99", "log_lines"),
        ("log_lines = 1000.5", "log_lines"),
        ("log_bytes = '1k'", "log_bytes"),
        ("log_bytes = 'all'", "log_bytes"),
        ("profiles = 3", "profiles"),
        ("profiles.x = 3", "profiles.x"),
        ("[profiles.'a b']", "profiles.a b"),
        ("[profiles.x]\nname = 'y'", "profiles.x.name"),
        ("[profiles.x]\nimgae = 'y'", "profiles.x.imgae"),
        ("[profiles.x]\ncommand = 3", "profiles.x.command"),
        ("[profiles.x]\ncommand = ['a', 3]", "profiles.x.command"),
        ("[profiles.x]\ntty = 'yes'", "profiles.x.tty"),
        ("[profiles.x]\nenv = ['A=1']", "profiles.x.env"),
        ("[profiles.x]\nenv = { A = true }", "profiles.x.env.A"),
        ("[profiles.x]\nenv = { 'A=B' = '1' }", "profiles.x.env.A=B"),
        ("[profiles.x]\ncpus = 0", "profiles.x.cpus"),
        ("[profiles.x]\ncpus = nan", "profiles.x.cpus"),
        ("[profiles.x]\ncpus = true", "profiles.x.cpus"),
        ("[profiles.x]\nmemory = '1k'", "profiles.x.memory"),
        ("[profiles.x]\nmemory = 'much'", "profiles.x.memory"),
        ("[profiles.x]\nmemory = true", "profiles.x.memory"),
        ("[profiles.x]\npids = 0", "profiles.x.pids"),
        ("[profiles.x]\npids = 1.5", "profiles.x.pids"),
        ("[profiles.x]\ncapabilities = 'ALL'", "profiles.x.capabilities"),
        ("[profiles.x]\ncapabilities = ['net_raw']", "profiles.x.capabilities"),
        ("[profiles.x]\nnew_privileges = 1", "profiles.x.new_privileges"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, text: str, key: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    line = len(text.splitlines())
    assert caught.value.title.startswith(f"{path}, line {line}: {key} ")
    _says_nothing_twice(caught.value)
    if "env" not in text:
        assert text.splitlines()[-1] in caught.value.detail or caught.value.detail.startswith("Known: ")


def _says_nothing_twice(error: RelayError) -> None:
    """Title, detail and hint are three things, and no sentence of one is in another."""
    parts = [error.title.removesuffix("."), error.detail, error.hint.removesuffix(".")]
    assert all(parts[::2]), parts
    said = [part for part in parts if part]
    assert not any(one in other for one in said for other in said if one is not other), said
    reason = error.title.partition(": ")[2]
    assert not reason or reason not in error.detail


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (b"a = 1\nimage = ", 2, "Invalid value"),
        (b"# \n\xff\xfe", 2, "it is not UTF-8 text"),
        (b"a = 1\na = 2", 2, "Cannot overwrite a value"),
        (b"a = [1,\n\n", 3, "Invalid value"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path, content: bytes, line: int, why: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.title == f"{path}, line {line}, is not TOML"
    assert caught.value.detail == why
    _says_nothing_twice(caught.value)


def test_a_value_of_the_environment_is_not_repeated(tmp_path: Path) -> None:
    path = written(tmp_path, "[profiles.x.env]\nTOKEN = ['hunter2']")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.title.startswith(f"{path}, line 2: profiles.x.env.TOKEN ")
    assert "hunter2" not in str(caught.value.fault)


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "below a file"])
def test_what_is_no_file_is_named_and_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.toml"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.touch()
        path /= "config.toml"
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.title == f"Cannot read {path}"
    assert caught.value.detail
    assert str(path) in caught.value.hint
    _says_nothing_twice(caught.value)


def test_a_key_that_is_nearly_right_is_put_right(tmp_path: Path) -> None:
    path = written(tmp_path, "[profiles.'x']\ntty = true\nimmage = 'node'\ncpus = 1")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.title == f"{path}, line 3: profiles.x.immage is not a known key"
    assert caught.value.hint == "Change it to image, or remove it."


def test_no_error_tells_its_title_again() -> None:
    assert RelayError("It failed", "It failed").detail == ""


def test_an_unknown_profile_lists_the_known_ones(tmp_path: Path) -> None:
    config = load(written(tmp_path, "[profiles.node]"))
    with pytest.raises(InvalidInputError) as caught:
        config.find_profile("nodejs")
    assert caught.value.field == "profile"
    assert "default, node" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512m", 512 << 20),
        ("4g", 4 << 30),
        ("4 GiB", 4 << 30),
        ("1.5g", 3 << 29),
        ("8388608", 8 << 20),
        ("100b", 100),
        ("2T", 2 << 40),
        ("1KB", 1024),
        ("", None),
        ("g", None),
        ("-1g", None),
        ("4x", None),
        ("4g 2", None),
        ("1e9", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size
