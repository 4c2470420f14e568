"""Start the screen from the command line."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from relay_tui.bootstrap import container
from relay_tui.bootstrap import log_file as file_logging
from relay_tui.config import Config
from relay_tui.domain.errors import RelayError
from relay_tui.domain.hints import render_for_cli
from relay_tui.paths import log_file

if TYPE_CHECKING:
    from relay_tui.ui.keys.keymap import Keymap


def load_keymap(config: Config) -> Keymap | None:
    """Return the keymap of the configuration, None for the default keys. Raises ConfigError."""
    if not config.keys:
        return None
    from relay_tui.ui.keys.keymap import Keymap

    return Keymap.from_config(config.keys, config.path)


def run_tui(data_dir: Path | None, *, debug: bool = False) -> int:
    """Run the TUI on `data_dir`; return the exit code."""
    gc.disable()
    try:
        relay = container.build_relay(data_dir)
        relay.store.read()
        keymap = load_keymap(relay.config)
    except RelayError as error:
        words = (f"relay: {error.title}", error.detail, render_for_cli(error.hint))
        sys.stderr.write("\n".join(filter(None, words)) + "\n")
        return error.exit_code
    file_logging.log_to_file(debug=debug)
    from relay_tui.ui.app import run_screen

    code = run_screen(relay, keymap)
    if debug:
        sys.stderr.write(f"relay: its own log is {log_file()}\n")
    return code
