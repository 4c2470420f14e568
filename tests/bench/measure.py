"""Shared parts of the benchmarks: a temporary directory with a base clone and an image, interleaved rounds, a table."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import FrameType

TESTS = Path(__file__).resolve().parents[1]
IMAGE = "relay-test/busybox"
BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: seconds of every round; a ratio is against the row named `against`."""

    name: str
    seconds: Sequence[float]
    against: str = ""
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Temporary directory `root` with all files of a benchmark. It is removed at the end with all its containers."""

    root: Path

    @property
    def data(self) -> Path:
        """relay's data dir."""
        return self.root / "data"

    @property
    def raw(self) -> Path:
        """Directory for the clones of the raw commands.

        The labels of their containers name it as the data directory.
        """
        return self.root / "raw"

    @property
    def environment(self) -> dict[str, str]:
        """The environment for all: this place's data dir, no configuration, the user's git and engine.

        Modules are compiled once, as an installation does it, even where the caller's environment forbids that.
        """
        return {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(self.root / "bytecode"),
            "RELAY_DATA_DIR": str(self.data),
            "RELAY_CONFIG": str(self.root / "no-config.toml"),
            "XDG_STATE_HOME": str(self.root / "state"),
        }


@contextmanager
def place() -> Iterator[Place]:
    """A place of its own, cleaned up however the block ends."""
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="relay-bench-", ignore_cleanup_errors=True) as directory:
        here = Place(Path(directory).resolve())
        here.raw.mkdir()
        try:
            yield here
        finally:
            remove_containers(here)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def remove_containers(here: Place) -> None:
    """Remove every container that carries this place's labels."""
    for directory in (here.data, here.raw):
        listed = ("docker", "ps", "-aq", "--filter", f"label=relay.data-dir={directory}")
        found = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
        if found:
            subprocess.run(("docker", "rm", "-fv", *found), capture_output=True, check=True)


def prepare_image() -> None:
    """Make the small image the sessions run."""
    sys.path.insert(0, str(TESTS))
    import docker
    import engine_images

    engine_images.build(docker.from_env(), "busybox")


def make_repository(path: Path, files: int, size: range) -> None:
    """A repository with one commit of `files` files in directories of 50, each of about so many bytes."""
    subprocess.run(("git", "init", "-q", "--bare", f"--initial-branch={BRANCH}", str(path)), check=True)
    words = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "nobody", "looks", "on")
    with subprocess.Popen(("git", f"--git-dir={path}", "fast-import", "--quiet"), stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        write = importer.stdin.write
        write(f"commit refs/heads/{BRANCH}\ncommitter A <a@example.org> 1700000000 +0000\ndata 1\nx\n".encode())
        for number in range(files):
            wanted = size[number * 7919 % len(size)]
            line = " ".join(words[(number + i) % len(words)] for i in range(8))
            text = "".join(f"{line} {number * 31 + i}\n" for i in range(wanted // (len(line) + 6)))
            write(f"M 644 inline d{number // 50:03}/file-{number:05}.txt\ndata {len(text)}\n{text}\n".encode())
        importer.stdin.close()
    if importer.returncode:
        raise SystemExit("git fast-import failed")


def relay_command() -> list[str]:
    """The installed command of this interpreter's environment."""
    script = Path(sys.executable).with_name("relay")
    return [str(script)] if script.exists() else [sys.executable, "-m", "relay_tui"]


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run the command. Exit with its output if it fails."""
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nfailed: {done.stderr.decode(errors='replace')}")


def run_together(commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None = None) -> None:
    """Run all commands at once. Exit with the output of the first one that fails."""
    started = [
        subprocess.Popen(c, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for c in commands
    ]
    said = [process.communicate()[1] for process in started]
    for process, words in zip(started, said, strict=True):
        if process.returncode:
            raise SystemExit(f"failed: {words.decode(errors='replace')}")


Contestant = Callable[[str], object]
"""Does the work once; the text it gets is new at every call, for names and directories."""


def rounds(
    contestants: Mapping[str, Contestant], count: int, after: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Seconds of `count` rounds of each, taken in turn and in another order every time; the first round is not kept.

    `after` tidies up after each call, untimed, and what was written reaches the disk before the next one begins.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(count + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            os.sync()
            began = time.perf_counter()
            answer = contestants[name](f"r{number}-{names.index(name)}")
            taken = time.perf_counter() - began
            if number:
                seconds[name].append(answer if isinstance(answer, float) else taken)
            after()
    return seconds


def less(seconds: Sequence[float], start: Sequence[float]) -> list[float]:
    """Return each time minus the interpreter's own start-up time."""
    return [taken - median(start) for taken in seconds]


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Median and best of each row, and their ratios to the row it is measured against."""
    by_name = {row.name: row for row in rows}
    lines = [["", "median", "best", "against", "ratio", "of bests", "aim", ""]]
    for row in rows:
        line = [row.name, _milliseconds(median(row.seconds)), _milliseconds(min(row.seconds)), row.against]
        if row.against:
            other = by_name[row.against].seconds
            ratio = median(row.seconds) / median(other)
            line += [f"{ratio:.2f}", f"{min(row.seconds) / min(other):.2f}"]
            line += ["", ""] if row.aim is None else [f"{row.aim:.2f}", "met" if ratio <= row.aim else "MISSED"]
        lines.append([*line, *[""] * (8 - len(line))])
    widths = [max(len(line[column]) for line in lines) for column in range(8)]
    print(f"\n{title}")
    for line in lines:
        cells = [
            cell.ljust(width) if column in {0, 3, 7} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def quick_wanted(description: str) -> bool:
    """Return whether the command line asks for a short run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a smaller large repository")
    return bool(parser.parse_args().quick)


def remove_tree(path: Path) -> None:
    """Delete a directory if it is there."""
    shutil.rmtree(path, ignore_errors=True)
