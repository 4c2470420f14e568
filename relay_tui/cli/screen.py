"""From the command line into the screen."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from relay_tui import wiring
from relay_tui.config import Config
from relay_tui.errors import RelayError
from relay_tui.hints import on_command_line
from relay_tui.paths import log_file


def take_keys(config: Config) -> None:
    """Have the keys be the person's own. Raises ConfigError."""
    if config.keys:
        from relay_tui.ui import actions
        from relay_tui.ui.own_keys import with_own

        actions.use(with_own(actions.ACTIONS, config.keys, config.path))


def open_screen(data_dir: Path | None, *, debug: bool = False) -> int:
    """Run the TUI over `data_dir`; answer the exit code."""
    gc.disable()
    try:
        relay = wiring.build(data_dir)
        relay.store.read()
        take_keys(relay.config)
    except RelayError as error:
        words = (f"relay: {error.title}", error.detail, on_command_line(error.hint))
        sys.stderr.write("\n".join(filter(None, words)) + "\n")
        return error.exit_code
    wiring.log_to_file(debug=debug)
    from relay_tui.ui.app import run_screen

    code = run_screen(relay)
    if debug:
        sys.stderr.write(f"relay: its own log is {log_file()}\n")
    return code
