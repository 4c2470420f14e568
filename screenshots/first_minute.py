"""Pictures of a new user's first minute without a container engine: the demo and the doctor's report on the machine."""

from __future__ import annotations

from typing import Protocol

_ALONE = """
PATH=$(dirname "$1"):$PATH:/usr/sbin
mount -t tmpfs relay-pictures /run
for program in dockerd git-lfs; do
    file=$(command -v $program) && mount --bind /dev/null "$file"
done
unset TMUX
PS1='$ ' exec sh
"""
"""A shell from which the engine, and what many have not, is out of sight."""


class Stage(Protocol):
    """The parts of the photographed world that these pictures use."""

    def tmux(self, *arguments: str) -> str:
        """Run a command of tmux."""
        ...

    def keys(self, *keys: str) -> None:
        """Press keys."""
        ...

    def wait(self, pattern: str, *, gone: bool = False) -> None:
        """Wait until the screen shows the pattern and no longer changes."""
        ...

    def shoot(self, name: str, title: str) -> None:
        """Take the picture."""
        ...


def photograph_first_minute(here: Stage, relay: str) -> None:
    """Take `demo` and `doctor`, both without an engine; only root may hide one. `relay` is the command's path."""
    alone = ("unshare", "--mount", "sh", "-c", _ALONE, "sh", relay)
    here.tmux("new-session", "-d", "-s", "relay", "-x", "130", "-y", "34", "--", *alone)
    here.wait(r"\$ ")
    here.keys("relay demo", "Enter")
    here.wait(r"failed +import-stations")
    here.wait(r"GET /tide/\w+ +200(.|\n)*GET /tide/\w+ +200(.|\n)*GET /tide/\w+ +200")
    here.shoot("demo", "relay demo, on a machine without a container engine")
    here.keys("q")
    here.wait(r"\$ \s*$")
    here.keys("clear; relay doctor", "Enter")
    here.wait(r"\d+ ok\s+\$ ")
    here.shoot("doctor", "relay doctor: what is missing, and what mends it")
