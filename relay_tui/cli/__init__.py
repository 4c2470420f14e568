"""The command line: the same services, for scripts, cron and rescue."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run the command line and answer the exit code. Only this imports it: the screen, below here, does without."""
    gc.disable()
    from relay_tui.cli import completion, main

    gc.freeze()  # what is imported stays: it need not be looked through for garbage
    gc.enable()
    if instruction := os.environ.get(completion.VARIABLE):
        return completion.respond(instruction)
    return main.run(arguments)
