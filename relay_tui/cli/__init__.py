"""Command line over the same services as the screen, for scripts, cron and repairs."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code. The screen does not import the commands."""
    gc.disable()
    from relay_tui.cli import completion, main

    gc.freeze()  # what is imported stays: it need not be looked through for garbage
    gc.enable()
    if instruction := os.environ.get(completion.VARIABLE):
        return completion.respond(instruction)
    return main.run(arguments)
