"""`relay demo`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from relay_tui.cli.output import Output, fail, progress
from relay_tui.domain.errors import ConfigError, RelayError
from relay_tui.text import sanitize

if TYPE_CHECKING:
    from relay_tui.bootstrap.demo import DemoEnvironment
    from relay_tui.services.demo import StepResult


@click.command(short_help="Show relay with a temporary sample project.")
@click.option("--headless", is_flag=True, help="Run without a screen; print each step and its time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; implies --headless.")
def demo(headless: bool, as_json: bool) -> int:
    """Show relay with a temporary sample project. Your own data stays untouched.

    The project has three sessions: a server, a test loop, and one that fails. Without a terminal, --headless is used.
    """
    from relay_tui.bootstrap.demo import demo_environment  # imports every adapter: help and completion do without

    output = Output(as_json)
    with _ended_in_order():
        if headless or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return _headless(output)
        with demo_environment() as stage:
            return _on_screen(stage)


def _on_screen(stage: DemoEnvironment) -> int:
    from relay_tui.cli.tui import load_keymap

    keymap = None
    with suppress(ConfigError):  # an error in the configuration does not prevent the demo
        keymap = load_keymap(stage.relay.config)
    from relay_tui.ui.demo import run_demo
    from relay_tui.ui.keys.actions import key_of, use_custom_keys

    use_custom_keys(keymap.keys if keymap is not None else {})

    leaving = f"it is deleted when you quit with {key_of('quit')}"
    words = f"A sample project; {leaving}. Sessions are {_runs(stage)}."
    return run_demo(stage.relay, stage.demo, words, keymap)


def _runs(stage: DemoEnvironment) -> str:
    """Return the runtime of the sessions and the reason for it, as text."""
    kinds = {"docker": "containers", "process": "processes of this machine"}
    return sanitize.clean(f"{kinds[stage.choice.runtime]}: {stage.choice.why}")


def _headless(output: Output) -> int:
    """Run every step in the foreground. Return 1 if a step or the clean-up failed."""
    from relay_tui.bootstrap.demo import demo_environment
    from relay_tui.services.demo import StepResult, format_error

    steps: list[StepResult] = []
    choice: dict[str, object] = {}

    def tell(done: StepResult) -> None:
        steps.append(done)
        failed = "FAILED " * done.failed
        output.say(f"{done.seconds:6.2f}s {done.name:<26} {failed}{sanitize.clean(sanitize.redact(done.words))}")

    begun = leaving = time.monotonic()
    try:
        with demo_environment() as stage, progress() as task:
            choice = asdict(stage.choice)
            if stage.swept:
                output.say(f"        cleared up first: {stage.swept} that had been killed")
            tell(StepResult("sample repository", stage.repository, time.monotonic() - begun))
            output.say(f"        sessions are {_runs(stage)}")
            stage.demo.run_headless(tell, task)
            leaving = time.monotonic()
    except RelayError as error:
        if steps:
            raise
        tell(StepResult("sample repository", format_error(error), time.monotonic() - begun, failed=True))
        if not output.as_json:  # whose one document says it
            fail(output, error.fault)
    else:
        left = stage.path.exists()
        words = f"{stage.path} is still there" if left else "nothing is left"
        tell(StepResult("thrown away", words, time.monotonic() - leaving, left))
    failed = [done.name for done in steps if done.failed]
    seconds = time.monotonic() - begun
    if output.as_json:
        output.document({"ok": not failed, **choice, "seconds": seconds, "steps": [asdict(done) for done in steps]})
    output.say(f"{seconds:6.2f}s {'FAILED: ' + ', '.join(failed) if failed else 'all steps succeeded'}")
    return 1 if failed else 0


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Turn signals that end the process into an exception within the block, so that the demo is cleaned up."""
    from relay_tui.ui.signals import ENDINGS

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
