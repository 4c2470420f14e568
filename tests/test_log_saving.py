"""A saved log is the log, not the end of it that happens to be loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Event

import pytest
from fakes import Rig, build
from on_screen import Shown, a_project, a_session, shown

from relay_tui.domain.errors import CancelledError, EngineUnreachableError
from relay_tui.services.logs.source import LogSource, OlderLines
from relay_tui.ui.widgets.flash_bar import FlashLine


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return build(tmp_path / "data")


def lines(count: int) -> list[str]:
    return [f"line {number}\n" for number in range(count)]


def talk(rig: Rig, count: int) -> None:
    a_session(rig, a_project(rig, "alpha"), "main", output="".join(lines(count)).encode())


def saved(rig: Rig) -> list[str]:
    """The lines of the one file."""
    [path] = (rig.root / "logs").iterdir()
    return path.read_text().splitlines(keepends=True)


def border(screen: Shown) -> str:
    return str(screen.main.detail.border_subtitle)


async def test_the_older_lines_are_loaded_first(rig: Rig) -> None:
    talk(rig, 12_000)
    async with shown(rig) as screen:
        await screen.sees("line 11999")
        await screen.press("l", "ctrl+s")
        await screen.sees("Saved 12,000 lines to")
        assert saved(rig) == lines(12_000)
        assert screen.main.detail.log_view.following


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_what_is_said_hides_nothing_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The notification also leaves the border visible, which shows the number of matching lines."""
    monkeypatch.chdir(tmp_path)
    rig = build(Path("data"))  # the notification fits into a line
    talk(rig, 50)
    async with shown(rig, size) as screen:
        await screen.sees("line 49")
        await screen.press("l", "ctrl+s")
        await screen.sees("Saved 50 lines")
        for toast in screen.app.screen.query(FlashLine):
            assert toast.region.height > 0
            assert not toast.region.overlaps(screen.main.detail.region)


async def test_at_the_first_line_of_a_log_that_does_not_fit_it_is_told(rig: Rig) -> None:
    talk(rig, 9_000)
    async with shown(rig) as screen:
        await screen.sees("line 8999")
        screen.main.detail.log_view.buffer.max_lines = 700
        await screen.press("l", "g")
        await screen.until(lambda: border(screen) == "paused · older lines do not fit", "why there are no more")
        assert "line 8300" in screen.text
        await screen.press("j")
        await screen.until(lambda: border(screen) == "paused", "a line below")
        await screen.press("g")
        await screen.until(lambda: border(screen) == "paused · older lines do not fit", "at the top again")
        await screen.press("G")
        await screen.until(lambda: border(screen) == "following")


async def test_what_does_not_fit_into_the_buffer_is_told(rig: Rig) -> None:
    talk(rig, 9_000)
    async with shown(rig) as screen:
        await screen.sees("line 8999")
        screen.main.detail.log_view.buffer.max_lines = 700
        await screen.press("l", "ctrl+s")
        await screen.sees("Saved 700 lines from ")
        await screen.sees("(older ones do not fit)")
        assert saved(rig) == lines(9_000)[-700:]


async def test_what_cannot_be_read_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(rig, 9_000)
    async with shown(rig) as screen:
        await screen.sees("line 8999")

        def gone(*_: object, **__: object) -> OlderLines:
            raise EngineUnreachableError("The engine is gone")

        monkeypatch.setattr(LogSource, "older", gone)
        await screen.press("l", "g")
        await screen.until(lambda: border(screen) == "paused · older lines cannot be read", "why there are no more")
        await screen.press("G", "ctrl+s")
        await screen.sees("(older ones cannot be read)")
        assert saved(rig) == lines(9_000)[-len(saved(rig)) :]


async def test_loading_shows_how_far_it_is_and_esc_stops_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(rig, 9_000)
    read, go = LogSource.older, Event()

    def slow(*args: object, **wanted: object) -> OlderLines:
        assert go.wait(20)
        return read(*args, **wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(LogSource, "older", slow)
    async with shown(rig) as screen:
        await screen.sees("line 8999")
        await screen.press("l", "ctrl+s")
        await screen.until(lambda: "saving, 200 lines so far, press esc to stop" in border(screen))
        await screen.press("escape")
        await screen.sees("Nothing was saved.")
        assert "saving" not in border(screen)
        go.set()
        assert not (rig.root / "logs").exists()
        assert screen.focused == "detail"


async def test_esc_stops_the_writing_and_leaves_no_file(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(rig, 300)
    async with shown(rig) as screen:
        await screen.sees("line 299")
        write, begun, go = screen.main.relay.files.save_log, Event(), Event()

        def slow(name: str, pieces: Iterable[str]) -> Path:
            begun.set()
            assert go.wait(20)
            return write(name, pieces)

        monkeypatch.setattr(screen.main.relay.files, "save_log", slow)
        await screen.press("l", "ctrl+s")
        await screen.until(begun.is_set)
        await screen.press("escape")
        go.set()
        await screen.sees("Nothing was saved.")
        assert list((rig.root / "logs").iterdir()) == []
        with pytest.raises(CancelledError):
            screen.main.relay.files.save_log("x", _stopped())


def _stopped() -> Iterable[str]:
    yield "half a line"
    raise CancelledError("Stopped")
