"""The command `relay`: without a subcommand the screen, else the command line."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Entry point. The command line's library is not even imported on the way to the screen."""
    arguments = sys.argv[1:]
    if not arguments and "_RELAY_COMPLETE" not in os.environ and sys.stdin.isatty() and sys.stdout.isatty():
        gc.disable()  # until the first paint: what is made on the way to it stays
        from relay_tui.cli.tui import run_tui

        sys.exit(run_tui(None))
    from relay_tui.cli import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
