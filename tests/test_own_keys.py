"""Keys of a person's own: one table still gives bindings, footer, help and palette."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from installed_relay import InstalledRelay

from relay_tui.cli.tui import run_tui
from relay_tui.config import load
from relay_tui.domain.errors import ConfigError
from relay_tui.ui.keys.actions import ACTIONS, BY_NAME, format_keys
from relay_tui.ui.keys.keymap import with_own

FILE = Path("config.toml")

_LOOK = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from relay_tui.config import load
from relay_tui.ui.keys import actions
from relay_tui.ui.keys.keymap import with_own
config = load(Path(sys.argv[2]))
actions.use(with_own(actions.ACTIONS, config.keys, config.path))
from fakes import build
from on_screen import a_project, a_session, shown

async def look():
    rig = build(Path(sys.argv[3]), config=config)
    a_session(rig, a_project(rig, "alpha"), "one", output=b"ready\\n")
    async with shown(rig, (200, 60)) as screen:
        assert " ! shell " in screen.keys, screen.keys
        await screen.press("f5")
        await screen.sees("alpha · 1 log")
        await screen.press("x")
        await screen.sees("following · wrap")
        await screen.press("question_mark")
        await screen.sees("esc closes")
        assert any(line.split()[1:4] == ["x", "Fold", "long"] for line in screen.lines if "Fold long" in line)
        await screen.press("escape", "w")
        await screen.sees("following · wrap")

asyncio.run(look())
"""


def test_they_are_the_same_everywhere(tmp_path: Path) -> None:
    """In a process of its own: the table is taken in before anything is made of it."""
    config = tmp_path / "config.toml"
    config.write_text('glyphs = "unicode"\n[keys]\nshell = "!"\njoint_log = "f5"\nlog_wrap = "x"\n')
    tests = str(Path(__file__).parent)
    command = (sys.executable, "-c", _LOOK, tests, str(config), str(tmp_path / "data"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


_LOOK_FOR_OLD_ONES = """
import asyncio, re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from relay_tui.config import Config
from relay_tui.ui.keys import actions
from relay_tui.ui.keys.keymap import with_own
letters = (f"alt+{c}" for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
K = {a.name: " ".join(next(letters) for _ in a.keys.split(",")) for a in actions.ACTIONS}
actions.use(with_own(actions.ACTIONS, K, Path("config.toml")))
from fakes import build
from on_screen import a_project, a_session, shown
from relay_tui.domain.errors import Fault
from relay_tui.domain.models import SessionState
from relay_tui.ui.demo import HINTS
from relay_tui.ui.widgets.hints_panel import HintsPanel

OLD = re.compile(r"(?<![\\w+])([A-Za-z?]|esc|ctrl\\+r) +(again|and|to|[a-z]+s)\\b")
config = Config(glyphs="unicode", path=Path("config.toml"))

async def new(screen):
    await screen.sees(f"{K['new_project']} adds a repository")
    await screen.sees(f"{K['help']} shows every key.")
    await screen.main.mount(HintsPanel("A sample.", HINTS, ascii_only=False), before="#keys")
    await screen.sees(f"{K['back']} hides this")
    await screen.sees(f"{K['shell']} a shell in the session's own clone")
    check(screen)

async def used(screen):
    await screen.sees(f"{K['shell']} opens a shell in the session; {K['attach']} attaches")
    check(screen)
    await screen.press(K["filter"], *"zzz")
    await screen.sees(f"Nothing matches the filter. {K['back']} clears it.")
    check(screen)
    await screen.press(K["back"], "j")
    await screen.sees(f"{K['stop_start']} starts it.")
    check(screen)
    await screen.press(K["shell"])
    await screen.sees(f"{K['stop_start']} starts it; {K['retry']} goes on from what failed.")
    await screen.press("j", K["next_tab"])
    await screen.sees(f"Mend it, then {K['retry']}.")
    await screen.press(K["remove"])
    await screen.sees(f"{K['undo']} undoes")
    await screen.press("escape", K["previous_pane"].split()[0], "G")
    await screen.sees(f"{K['retry']} tries again, {K['edit_source']} edits the source.")
    await screen.sees(f"{K['retry']} tries again; {K['edit_source']} edits the source and tries again; "
        f"{K['remove']} forgets the project.")
    check(screen)
    await screen.press(K["help"])
    await screen.sees("esc closes")
    await screen.press(K["help"])
    await screen.until(lambda: screen.app.screen is screen.main, "the help gone")

def check(screen):
    left = [m[0] for m in OLD.finditer(screen.words)]
    assert not left, (left, screen.text)

async def look(path):
    async with shown(build(path / "new", config=config), (200, 60)) as screen:
        await new(screen)
    rig = build(path / "used", config=config)
    alpha = a_project(rig, "alpha")
    a_session(rig, alpha, "one")
    a_session(rig, alpha, "two", SessionState.STOPPED)
    a_session(rig, alpha, "three", SessionState.ERROR, error=Fault("engine", "It failed", "", "Mend it, then {retry}."))
    a_project(rig, "beta", error=Fault("git", "It cannot be cloned", "", "Check it."))
    async with shown(rig, (200, 60)) as screen:
        await used(screen)

asyncio.run(look(Path(sys.argv[2])))
"""


def test_no_words_on_the_screen_name_a_key_that_was(tmp_path: Path) -> None:
    """With every key of the table another one, what is said with keys says those."""
    command = (sys.executable, "-c", _LOOK_FOR_OLD_ONES, str(Path(__file__).parent), str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr[-14000:].replace("  ", "")


def test_a_table_with_own_keys() -> None:
    own = {
        action.name: action.keys
        for action in with_own(ACTIONS, {"shell": "x, ,", "log_save": "ctrl+w", "log_since": "7 8 9 0 1 2 3"}, FILE)
    }
    assert (own["shell"], own["log_save"], own["log_since"]) == ("x", "ctrl+w", "7,8,9,0,1,2,3")
    assert own["quit"] == BY_NAME["quit"].keys
    assert with_own(ACTIONS, {}, FILE) == ACTIONS
    swapped = {a.name: a.keys for a in with_own(ACTIONS, {"remove": "r", "restart": "D", "filter": "- _"}, FILE)}
    assert (swapped["remove"], swapped["restart"], swapped["filter"]) == ("r", "D", "minus,underscore")
    words = [format_keys(replace(BY_NAME["filter"], keys=keys)) for keys in ("minus,underscore", "comma", "space,f5,x")]
    assert words == ["- _", ",", "space f5 x"]


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
    ],
)
def test_what_cannot_be_is_told_with_its_place(keys: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        with_own(ACTIONS, keys, FILE)
    assert str(FILE) in refused.value.title
    assert words in refused.value.title


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
