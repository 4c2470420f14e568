"""The Machine port: this host, its programs, its engine, its network, one data dir on it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters import locks
from relay_tui.adapters.machine import commands, ground
from relay_tui.paths import DataDir
from relay_tui.services.ports.machine import EngineFacts, Ground, Held, Said
from relay_tui.services.ports.runtime import Isolation
from relay_tui.services.watch import Watch


class Host:
    """Everything is asked anew each time: what was mended meanwhile is to be seen."""

    def __init__(self, place: DataDir) -> None:
        self._place = place

    def find(self, program: str) -> str:
        """The path of a program, '' when it is not there."""
        return shutil.which(program) or ""

    def run(self, command: Sequence[str], watch: Watch) -> Said:
        """Run a command to its end, without a terminal."""
        return commands.run(command, watch)

    def isolation(self, watch: Watch) -> Isolation:
        """Run something in a sandbox as sessions of this data dir get it."""
        from relay_tui.adapters.process import sandbox

        found = sandbox.probe(self._place.root, lambda command: commands.run(command, watch))
        return Isolation(found.works, found.words, found.hint, gap=found.gap)

    def variable(self, name: str) -> str:
        """A variable of the environment, '' when it is not set."""
        return os.environ.get(name, "")

    def engine(self, patience: float) -> EngineFacts:
        """Ask the engine about itself."""
        from relay_tui.adapters.engine.about import describe

        return describe(patience)

    def remote(self, url: str, watch: Watch) -> None:
        """Ask a project's remote for its HEAD."""
        from relay_tui.adapters.machine.remote import ask

        ask(url, watch)

    def ground(self, path: Path) -> Ground:
        """What there is to know of a directory."""
        return ground.ground(path)

    def try_writing(self, directory: Path) -> None:
        """Write, sync, lock and remove a small file there."""
        ground.try_writing(directory)

    def held(self) -> list[Held]:
        """The locks of the data dir that somebody holds, the longest held first."""
        found = []
        for path in self._place.locks.glob("*.lock"):
            holder = locks.read_holder(path)
            if holder is not None:
                try:
                    seconds = max(0.0, time.time() - path.stat().st_mtime)
                except FileNotFoundError:
                    continue
                words = f"{holder.purpose}, pid {holder.pid}"
                found.append(Held(path.stem, words, holder.pid, seconds, _stopped(holder.pid)))
        return sorted(found, key=lambda held: -held.seconds)


def _stopped(pid: int) -> bool:
    """Whether a process is stopped (by a debugger, by ctrl-z)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :][:1] in b"Tt"
