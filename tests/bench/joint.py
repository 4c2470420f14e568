"""Ten sessions' logs as one, each of 500 lines/s: keys meanwhile, how old the newest line on the screen is, memory.

Run `python tests/bench/joint.py`, with --quick for a short run. It drives the real program in tmux, reads its screen.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path
from statistics import median

from control import Watched
from logs import environment, lines, p95, pressed, print_figures, session
from measure import IMAGE, Place, make_repository, place, prepare_image, quick_wanted, relay_command, run

SESSIONS, RATE = 10, 500
CONFIG = "\n".join(
    f"""[profiles.s{number}]
tty = false
command = "cd /workspace; while [ ! -e fifty ]; do usleep 9000; done; while :; do cat fifty; usleep 97000; done"
"""
    for number in range(SESSIONS)
)


def written(container: str) -> int:
    """Return the number of lines that a container has written."""
    return subprocess.run(("docker", "logs", container), stdout=subprocess.PIPE, check=True).stdout.count(b"\n")


def age(screen: Watched) -> float | None:
    """Return the age in seconds of the lowest line on the screen, from its timestamp."""
    shown = screen.lines()
    now = datetime.now().astimezone()
    for line in reversed(shown):
        if found := re.search(r"\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", line):
            moment = datetime.strptime(f"{now.year}-{found[0]}", "%Y-%m-%d %H:%M:%S.%f").astimezone()
            return (now - moment).total_seconds()
    return None


def cpu(path: Path) -> float:
    """Seconds of CPU that a process, or a thread of it, has used."""
    fields = (path / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(here: Place, count: int) -> None:
    """All of it."""
    (here.root / "config.toml").write_text(CONFIG)
    make_repository(here.root / "demo.git", 3, range(100, 200))
    source = str(here.root / "demo.git")
    run((*relay_command(), "project", "add", source, "--name", "demo", "--image", IMAGE), environment(here))
    containers = [session(here, f"s{number}", {"fifty": lines(50)})[0] for number in range(SESSIONS)]
    screen = Watched(here.root / "screen", relay_command(), environment(here))
    try:
        screen.until_text("running")
        time.sleep(2)
        before = screen.memory()
        began, first = time.perf_counter(), written(containers[0])
        opened = screen.pressed("L", lambda shown: any("line 00000" in line for line in shown))
        time.sleep(3)
        keys = pressed(screen, lambda: True, count)
        screen.press("t")
        time.sleep(1)
        whole, thread = Path(f"/proc/{screen.pid}"), Path(f"/proc/{screen.pid}/task/{screen.pid}")
        start, used = time.perf_counter(), (cpu(whole), cpu(thread))
        time.sleep(5)
        taken = [now - then for now, then in zip((cpu(whole), cpu(thread)), used, strict=True)]
        shares = [one / (time.perf_counter() - start) for one in taken]
        ages: list[float] = []
        while len(ages) < 30:
            ages += [found] if (found := age(screen)) is not None else []
            time.sleep(0.1)
        rate = (written(containers[0]) - first) / (time.perf_counter() - began)
        memory = screen.memory()
    finally:
        screen.close()
    old, more, slow = median(ages), memory - before, p95(keys)
    print_figures(
        f"{SESSIONS} logs as one, each of about {rate:.0f} lines/s, 160x45",
        [
            ("L to the first lines", f"{opened * 1000:.0f} ms", "1000 ms", opened <= 1),
            (f"key to screen p95 ({len(keys)} keys)", f"{slow * 1000:.0f} ms", "100 ms", slow <= 0.1),
            ("the newest line on the screen is old, median", f"{old * 1000:.0f} ms", "500 ms", old <= 0.5),
            (f"memory before {before:.0f} MB, after {memory:.0f} MB", f"+{more:.0f} MB", "+64 MB", more <= 64),
        ],
    )
    print(f"  median of the keys {median(keys) * 1000:.0f} ms, the slowest {max(keys) * 1000:.0f} ms")
    print(f"  CPU while no key is pressed: {shares[0]:.0%} of one core, {shares[1]:.0%} in the screen's thread")


def main() -> None:
    """Measure, print the table."""
    quick = quick_wanted("Ten sessions' logs as one.")
    prepare_image()
    with place() as here:
        measure(here, 60 if quick else 300)


if __name__ == "__main__":
    main()
