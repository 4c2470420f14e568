"""`relay demo`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import FrameType
from typing import NoReturn

import click

from relay_tui import text
from relay_tui.cli.output import Output, fail, progress
from relay_tui.cli.screen import take_keys
from relay_tui.errors import ConfigError, RelayError
from relay_tui.services.demo import Done, error_words
from relay_tui.staging import Staged, staged

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@click.command(short_help="A sample project, thrown away afterwards.")
@click.option("--headless", is_flag=True, help="Do the same without a screen; print each step and its time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; implies --headless.")
def demo(headless: bool, as_json: bool) -> int:
    """Show relay on a sample project that is thrown away afterwards: nothing of yours is touched.

    Three sessions of it run: one serves, one tests in a loop, one fails. Without a terminal it is --headless.
    """
    output = Output(as_json)
    with _ended_in_order():
        if headless or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return _headless(output)
        with staged() as stage:
            return _on_screen(stage)


def _on_screen(stage: Staged) -> int:
    with suppress(ConfigError):  # what is wrong in the configuration does not keep a demo from its own
        take_keys(stage.relay.config)
    from relay_tui.ui.actions import key_of
    from relay_tui.ui.demo import run_demo

    leaving = f"all of it is thrown away when you leave with {key_of('quit')}"
    words = f"A sample project; {leaving}. Sessions are {_runs(stage)}."
    return run_demo(stage.relay, stage.demo, words)


def _runs(stage: Staged) -> str:
    """What runs the sessions, and why, in words."""
    kinds = {"docker": "containers", "process": "processes of this machine"}
    return text.clean(f"{kinds[stage.choice.runtime]}: {stage.choice.why}")


def _headless(output: Output) -> int:
    """Every step in the foreground; 1 if any of them failed, the taking down included."""
    steps: list[Done] = []
    choice: dict[str, object] = {}

    def tell(done: Done) -> None:
        steps.append(done)
        failed = "FAILED " * done.failed
        output.say(f"{done.seconds:6.2f}s {done.name:<26} {failed}{text.clean(text.redact(done.words))}")

    begun = leaving = time.monotonic()
    try:
        with staged() as stage, progress() as watch:
            choice = asdict(stage.choice)
            if stage.swept:
                output.say(f"        cleared up first: {stage.swept} that had been killed")
            tell(Done("sample repository", stage.repository, time.monotonic() - begun))
            output.say(f"        sessions are {_runs(stage)}")
            stage.demo.rehearse(tell, watch)
            leaving = time.monotonic()
    except RelayError as error:
        if steps:
            raise
        tell(Done("sample repository", error_words(error), time.monotonic() - begun, failed=True))
        if not output.as_json:  # whose one document says it
            fail(output, error.fault)
    else:
        left = stage.path.exists()
        words = f"{stage.path} is still there" if left else "nothing is left"
        tell(Done("thrown away", words, time.monotonic() - leaving, left))
    failed = [done.name for done in steps if done.failed]
    seconds = time.monotonic() - begun
    if output.as_json:
        output.document({"ok": not failed, **choice, "seconds": seconds, "steps": [asdict(done) for done in steps]})
    output.say(f"{seconds:6.2f}s {'FAILED: ' + ', '.join(failed) if failed else 'all of it worked'}")
    return 1 if failed else 0


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Within the block a signal to end, or a lost line, ends it as an exception does: what was begun is taken down."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
