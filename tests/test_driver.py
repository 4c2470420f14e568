"""Terminal driver: typed input arrives at once, and a terminal may disappear while the screen is drawn on it."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import signal
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from installed_relay import PROGRAM, InstalledRelay
from textual import events
from textual.app import App
from textual.message import Message
from textual_screen import MAX_QUEUED_WRITES, WriterThread
from waiting import wait_until

from relay_tui.ui.textual_internals.driver import TerminalDriver, TerminalWriter


class Typing:
    """A terminal to type on, and a driver that reads it; what it hands on is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hand, terminal = pty.openpty()
        tty.setraw(terminal)
        self.terminal = open(terminal, closefd=True)  # noqa: SIM115, PTH123
        monkeypatch.setattr("sys.__stdin__", self.terminal)
        self.heard: list[str] = []
        self.driver = asyncio.run(_driver())
        monkeypatch.setattr(self.driver, "process_message", self._hear)
        self.thread = Thread(target=self.driver.run_input_thread, daemon=True)
        self.thread.start()

    def _hear(self, message: Message) -> None:
        assert isinstance(message, events.Key)
        self.heard.append(message.key)

    def type(self, keys: bytes, *expected: str) -> None:
        """Type, and wait until all is read and the keys are heard."""
        self.heard.clear()
        os.write(self.hand, keys)
        wait_until(lambda: self.heard == list(expected) and not select.select([self.terminal], [], [], 0)[0])


async def _driver() -> TerminalDriver:
    """It wants a loop to be made in."""
    return TerminalDriver(App())


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Typing]:
    found = Typing(monkeypatch)
    yield found
    found.driver.exit_event.set()
    found.thread.join(10)
    assert not found.thread.is_alive()
    os.close(found.hand)
    found.terminal.close()


def test_keys_are_told_apart_however_they_come(typing: Typing) -> None:
    typing.type(b"j\x1b[Bk", "j", "down", "k")
    typing.type("é".encode()[:1])
    typing.type("é".encode()[1:], "é")
    typing.type(b"\x1b", "escape")
    typing.type(b"j", "j")


def test_an_escape_is_one_however_fast_the_next_key_comes(typing: Typing) -> None:
    keys = "escape j escape slash escape G escape enter up"
    typing.type(b"\x1bj\x1b/\x1bG\x1b\r\x1b[A", *keys.split())
    typing.type(b"\x1b\x7f", "ctrl+w")
    os.write(typing.hand, b"\x1b")
    wait_until(lambda: not select.select([typing.terminal], [], [], 0)[0])
    typing.type(b"qq", "escape", "q", "q")
    typing.type(b"\x1b\x1b", "escape", "escape")


def test_an_idle_terminal_wakes_nobody(typing: Typing) -> None:
    """Not ten times a second; and it is let go of at once."""
    typing.type(b"\x1b", "escape")
    switches = Path(f"/proc/self/task/{typing.thread.native_id}/status")

    def count() -> int:
        return int(re.findall(r"\nvoluntary_ctxt_switches:\s+(\d+)", switches.read_text())[0])

    asleep = count()
    typing.thread.join(0.5)
    assert count() - asleep <= 1


def test_a_terminal_that_ended_is_not_read_again_and_again(typing: Typing) -> None:
    read = os.dup(typing.hand)
    os.close(typing.hand)
    typing.hand = os.open("/dev/null", os.O_RDONLY)
    os.close(read)
    typing.thread.join(10)
    assert not typing.thread.is_alive()


def test_a_lent_terminal_is_read_again(typing: Typing) -> None:
    """Another program that uses the terminal gets every key typed in between."""
    typing.driver.exit_event.set()
    typing.thread.join(10)
    typing.driver.exit_event.clear()
    os.write(typing.hand, b"theirs")
    assert os.read(typing.terminal.fileno(), 100) == b"theirs"
    typing.thread = Thread(target=typing.driver.run_input_thread, daemon=True)
    typing.thread.start()
    typing.type(b"j", "j")


def test_writing_goes_on_without_a_terminal() -> None:
    read, write = os.pipe()
    told: list[bool] = []
    with os.fdopen(write, "w", encoding="ascii", errors="replace") as file:
        outlet = TerminalWriter(file, lambda: told.append(True))
        assert (outlet.encoding, outlet.errors) == ("ascii", "replace")
        writer = WriterThread(outlet)
        writer.start()
        writer.write("seen … by all")
        seen = os.read(read, 100)
        os.close(read)

        def much() -> None:
            for _ in range(3 * MAX_QUEUED_WRITES):
                writer.write("by nobody")
            writer.stop()

        thread = Thread(target=much, daemon=True)
        thread.start()
        thread.join(10)
        assert seen == b"seen ? by all"
        assert not thread.is_alive() and told


def test_a_terminal_that_goes_without_a_signal_ends_relay(tmp_path: Path) -> None:
    alone = InstalledRelay(tmp_path)
    screen, terminal = pty.openpty()
    env = alone.env | {"TERM": "xterm-256color", "DOCKER_HOST": "unix:///nonexistent.sock"}
    relay = subprocess.Popen(
        [PROGRAM], stdin=terminal, stdout=terminal, stderr=terminal, env=env, start_new_session=True
    )
    os.close(terminal)
    drawn = b""
    while b"Projects" not in drawn:
        drawn += os.read(screen, 4096)
    os.close(screen)
    try:
        relay.send_signal(signal.SIGWINCH)  # which it draws for
        assert relay.wait(20)
    finally:
        relay.kill()
    log = Path(alone.env["XDG_STATE_HOME"], "relay", "relay.log")
    assert not log.exists() or "Traceback" not in log.read_text()
