"""Keys of the user's configuration: bindings, key bar, help, palette and hints all use them."""

from __future__ import annotations

import gc
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import build
from installed_relay import InstalledRelay
from on_screen import Shown, a_project, a_session, shown

from relay_tui.cli.tui import run_tui
from relay_tui.config import Config, load
from relay_tui.domain.errors import ConfigError, Fault
from relay_tui.domain.models import SessionState
from relay_tui.ui.demo import hints
from relay_tui.ui.keys.actions import ACTIONS, ALIASES, BY_NAME, format_keys, key_of
from relay_tui.ui.keys.keymap import Keymap
from relay_tui.ui.widgets.hints_panel import HintsPanel

FILE = Path("config.toml")
_LETTERS = (f"alt+{c}" for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
K = {action.name: " ".join(next(_LETTERS) for _ in action.keys.split(",")) for action in ACTIONS}
"""Another key for every action."""
_DEFAULT_KEY = re.compile(r"(?<![\w+])([A-Za-z?]|esc|ctrl\+r) +(again|and|to|[a-z]+s)\b")
"""Text that names a default key. Of the words before it, only those that are no key are allowed."""


async def test_they_are_the_same_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    keys = 'shell = "!"\njoint_log = "f5"\nlog_wrap = "x"\nlog_since = "7 8 9 ( ) { }"\n'
    file.write_text(f'glyphs = "unicode"\n[keys]\n{keys}')
    rig = build(tmp_path / "data", config=load(file))
    a_session(rig, a_project(rig, "alpha"), "one", output=b"ready\n")
    async with shown(rig, (200, 60)) as screen:
        assert " ! shell " in screen.keys, screen.keys
        await screen.press("f5")
        await screen.sees("alpha · 1 log")
        await screen.press("x")
        await screen.sees("following · wrap")
        await screen.press("8")
        await screen.sees("wrap · since 1m")
        await screen.press("7")
        await screen.until(lambda: "since" not in screen.row("following"), "the whole log")
        await screen.press("question_mark")
        await screen.sees("esc closes")
        assert any(line.split()[1:4] == ["x", "Toggle", "line"] for line in screen.lines if "line wrap" in line)
        await screen.press("escape", "w")
        await screen.sees("following · wrap")


async def test_keys_of_one_app_are_not_those_of_the_next(tmp_path: Path) -> None:
    async with shown(build(tmp_path / "one", config=Config(keys=K, path=FILE))) as screen:
        await screen.sees(f"Press {K['new_project']} to add one.")
    async with shown(build(tmp_path / "two", config=Config(path=FILE))) as screen:
        await screen.sees("Press N to add one.")


async def test_no_text_names_a_default_key(tmp_path: Path) -> None:
    """With another key for every action, each text that names a key names the new one."""
    config = Config(glyphs="unicode", path=FILE, keys=K)
    async with shown(build(tmp_path / "new", config=config), (200, 60)) as screen:
        await screen.sees(f"Press {K['new_project']} to add a repository")
        await screen.sees(f"Press {K['help']} to see every key.")
        await screen.main.mount(HintsPanel("A sample.", hints(), ascii_only=False), before="#keys")
        await screen.sees(f"{K['back']} hides this")
        await screen.sees(f"{K['shell']} a shell in the session's own clone")
        _check(screen)
    rig = build(tmp_path / "used", config=config)
    alpha = a_project(rig, "alpha")
    a_session(rig, alpha, "one")
    a_session(rig, alpha, "two", SessionState.STOPPED)
    failed = Fault("engine", "It failed", "", "Fix it, then press {retry}.")
    a_session(rig, alpha, "three", SessionState.ERROR, error=failed)
    a_project(rig, "beta", error=Fault("git", "It cannot be cloned", "", "Check it."))
    async with shown(rig, (200, 60)) as screen:
        await screen.sees(f"Press {K['shell']} to open a shell in the session, or {K['attach']} to attach")
        _check(screen)
        await screen.press(K["filter"], *"zzz")
        await screen.sees(f"Nothing matches the filter. Press {K['back']} to clear it.")
        _check(screen)
        await screen.press(K["back"], "j", K["shell"])
        await screen.sees(f"{K['stop_start']} starts it; {K['retry']} retries the failed step.")
        await screen.press("j", K["next_tab"])
        await screen.sees(f"Fix it, then press {K['retry']}.")
        await screen.press(K["remove"])
        await screen.sees(f"{K['undo']} undoes")
        await screen.press("escape", K["previous_pane"].split()[0], "G")
        await screen.sees(f"Press {K['retry']} to retry, {K['edit_source']} to edit the source.")
        _check(screen)
        await screen.press(K["help"])
        await screen.sees("esc closes")
        await screen.press(K["help"])
        await screen.until(lambda: screen.app.screen is screen.main, "the help closed")


def _check(screen: Shown) -> None:
    left = [match[0] for match in _DEFAULT_KEY.finditer(screen.words)]
    assert not left, (left, screen.text)


def test_a_keymap() -> None:
    keymap = Keymap.from_config({"shell": "x, ,", "log_save": "ctrl+w", "log_since": "7 8 9 0 1 2 3"}, FILE)
    assert keymap.keys == {"shell": "x", "log_save": "ctrl+w", "log_since": "7,8,9,0,1,2,3"}
    assert keymap.keys_of(BY_NAME["quit"]) == BY_NAME["quit"].keys
    assert keymap.bindings()["relay.log_since.0"] == "7"
    assert keymap.bindings()["relay.shell"] == "x"
    assert Keymap.from_config({}, FILE).bindings() == {}
    swapped = Keymap.from_config({"remove": "r", "restart": "D", "filter": "- _"}, FILE).keys
    assert (swapped["remove"], swapped["restart"], swapped["filter"]) == ("r", "D", "minus,underscore")
    names = [format_keys(replace(BY_NAME["filter"], keys=keys)) for keys in ("minus,underscore", "comma", "space,f5,x")]
    assert names == ["- _", ",", "space f5 x"]


def test_former_names_stay_valid() -> None:
    """Names that a configuration of an older relay may hold."""
    assert set(ALIASES) == {"strays", "look_again", "meters", "joint_log"}
    former = {alias: f"f{number}" for number, alias in enumerate(ALIASES, 5)}
    assert Keymap.from_config(former, FILE).keys == {ALIASES[alias]: key for alias, key in former.items()}
    assert key_of("strays") == key_of("orphans") == "U"
    with pytest.raises(ConfigError) as raised:
        Keymap.from_config({"strays": "f5", "orphans": "f6"}, FILE)
    assert "keys.orphans is the same action as keys.strays" in raised.value.title


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"shel": "x"}, "keys.shel is no action"),
        ({"shell": "j"}, "keys.shell cannot be 'j': that key moves or chooses"),
        ({"shell": "q"}, "keys.shell cannot be 'q': that is quit's"),
        ({"log_wrap": "t"}, "keys.log_wrap cannot be 't': that is log_times's"),
        ({"log_since": "7"}, "keys.log_since needs a key for each of its choices"),
        ({"shell": "ctrl+"}, "keys.shell cannot be 'ctrl+'"),
        ({"shell": "[@click=app.quit]"}, "keys.shell cannot be"),
        ({"meters": "q"}, "keys.meters cannot be 'q': that is quit's"),
    ],
)
def test_an_error_names_the_file_and_the_action(keys: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Keymap.from_config(keys, FILE)
    assert str(FILE) in raised.value.title
    assert words in raised.value.title


def test_relay_says_so_instead_of_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text('[keys]\nshel = "x"\n')
    monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "config.toml"))
    try:
        assert run_tui(tmp_path / "data") == 1
    finally:
        gc.enable()
    said = capsys.readouterr().err
    assert "keys.shel is no action" in said
    assert "Did you mean shell?" in said


def test_the_effective_configuration_names_them(relay: InstalledRelay) -> None:
    relay.config.write_text('[keys]\nshell = "x"\n')
    assert "shell = x" in relay.run("config", "show").out
    assert relay.json("config", "show")["keys"] == {"shell": "x"}


@pytest.mark.parametrize("text", ["keys = 1", "[keys]\nshell = 1"])
def test_keys_of_another_kind_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError):
        load(tmp_path / "config.toml")
