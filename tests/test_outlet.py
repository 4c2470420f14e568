"""A terminal that goes away while the screen is drawn on it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path
from threading import Thread

from installed_relay import PROGRAM, InstalledRelay
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from relay_tui.ui.outlet import Outlet


def test_writing_goes_on_without_a_terminal() -> None:
    read, write = os.pipe()
    told: list[bool] = []
    with os.fdopen(write, "w", encoding="ascii", errors="replace") as file:
        outlet = Outlet(file, lambda: told.append(True))
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
