"""Entry point of the command `relay`: the screen without arguments, else the command line."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run relay. The screen's start does not import the command line's library."""
    arguments = sys.argv[1:]
    if not arguments and "_RELAY_COMPLETE" not in os.environ and sys.stdin.isatty() and sys.stdout.isatty():
        gc.disable()  # until the first paint: objects that are created before it are kept
        from relay_tui.cli.tui import run_tui

        sys.exit(run_tui(None))
    from relay_tui.cli import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
