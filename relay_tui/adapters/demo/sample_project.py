"""Sample project of the demo: a small tide forecast with a history, branches and a deliberate error."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relay_tui.adapters.git import process
from relay_tui.adapters.git.errors import git_error

ADA = "Ada Norheim <ada@tidewatch.example>"
JON = "Jon Barrow <jon@tidewatch.example>"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCommit:
    """Commit of the sample history. `files` has the new content by path, `after` the parent of a new branch."""

    branch: str
    message: str
    author: str
    days_ago: float
    files: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


README = """# tidewatch

Water levels for a handful of harbours, from their harmonic constituents.

    python3 -m tidewatch.serve            forecasts over HTTP
    python3 -m unittest                   the tests
    python3 -m tidewatch.importer FILE    new stations from a CSV file
"""


HARMONICS = '''"""A water level is a sum of cosines, one for each tidal constituent."""

import math

SPEEDS = {"M2": 28.984104, "S2": 30.0, "N2": 28.43973, "K1": 15.041069, "O1": 13.943035}  # degrees an hour


def level(mean, constituents, hours):
    """Metres above chart datum, `hours` after the epoch. `constituents`: name -> (amplitude, phase in degrees)."""
    height = mean
    for name, (amplitude, phase) in constituents.items():
        height += amplitude * math.cos(math.radians(SPEEDS[name] * hours - phase))
    return height
'''


FASTER = HARMONICS.replace(
    """    height = mean
    for name, (amplitude, phase) in constituents.items():
        height += amplitude * math.cos(math.radians(SPEEDS[name] * hours - phase))
    return height
""",
    """    return mean + sum(
        amplitude * math.cos(math.radians(SPEEDS[name] * hours - phase))
        for name, (amplitude, phase) in constituents.items()
    )


def day(mean, constituents, start, step=0.25):
    \"\"\"The levels of the 24 hours after `start`.\"\"\"
    return [level(mean, constituents, start + step * n) for n in range(int(24 / step))]
""",
)


STATIONS = '''"""Known harbours."""

STATIONS = {
    "bergen": (0.90, {"M2": (0.44, 299), "S2": (0.16, 337), "N2": (0.09, 277)}),
    "aberdeen": (2.57, {"M2": (1.31, 27), "S2": (0.45, 65), "N2": (0.26, 3), "O1": (0.09, 44)}),
    "brest": (4.13, {"M2": (2.05, 109), "S2": (0.75, 149), "N2": (0.42, 90), "K1": (0.06, 74)}),
}


def find(name):
    """Mean level and constituents of a harbour. Raises KeyError."""
    return STATIONS[name.lower()]
'''


SERVE = '''"""Forecasts over HTTP: /tide/bergen answers the level now."""

import itertools
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tidewatch.harmonics import level
from tidewatch.stations import STATIONS, find


class Forecast(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        try:
            mean, constituents = find(name)
        except KeyError:
            self.send_error(404, f"no harbour {name}")
            return
        height = level(mean, constituents, time.time() / 3600)
        body = f"{name} {height:.2f} m\\n".encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
        print(f"{time.strftime('%H:%M:%S')}  GET {self.path:<16} 200  {height:5.2f} m", flush=True)

    def log_request(self, *_):
        pass


def poll(url):
    """Request a forecast every 1.5 seconds, so that the log has lines."""
    for name in itertools.cycle(STATIONS):
        time.sleep(1.5)
        urllib.request.urlopen(f"{url}/tide/{name}", timeout=5).read()


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forecast)
    url = f"http://127.0.0.1:{server.server_port}"
    print(f"tidewatch: serving {len(STATIONS)} harbours at {url}/tide/bergen", flush=True)
    threading.Thread(target=poll, args=(url,), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
'''


TESTS = """import unittest

from tidewatch.harmonics import level
from tidewatch.stations import STATIONS, find


class Levels(unittest.TestCase):
    def test_without_constituents_it_is_the_mean(self):
        self.assertEqual(level(1.5, {}, 12), 1.5)

    def test_one_constituent_at_its_phase_is_at_its_highest(self):
        self.assertAlmostEqual(level(1.0, {"S2": (0.5, 0)}, 0), 1.5)

    def test_half_a_period_later_it_is_at_its_lowest(self):
        self.assertAlmostEqual(level(1.0, {"S2": (0.5, 0)}, 6), 0.5)

    def test_no_level_is_beyond_the_sum_of_amplitudes(self):
        for mean, constituents in STATIONS.values():
            most = sum(amplitude for amplitude, _ in constituents.values())
            for hour in range(0, 24 * 30):
                self.assertLessEqual(abs(level(mean, constituents, hour) - mean), most + 1e-9)


class Stations(unittest.TestCase):
    def test_a_name_is_found_in_any_case(self):
        self.assertEqual(find("Bergen"), find("bergen"))

    def test_an_unknown_name_is_an_error(self):
        with self.assertRaises(KeyError):
            find("atlantis")
"""


DAY_TEST = """import unittest

from tidewatch.harmonics import day
from tidewatch.stations import find


class Days(unittest.TestCase):
    def test_a_day_has_a_level_every_quarter_of_an_hour(self):
        self.assertEqual(len(day(*find("brest"), start=0)), 96)

    def test_there_are_two_tides_a_day(self):
        levels = day(*find("brest"), start=0)
        highs = [b for a, b, c in zip(levels, levels[1:], levels[2:]) if a < b > c]
        self.assertEqual(len(highs), 2)
"""


IMPORTER = '''"""New stations from a CSV file: name, mean, M2 amplitude, M2 phase."""

import csv
import sys
import time


class BadRow(Exception):
    pass


def read(lines):
    """Yield each station of the file. Raises BadRow with the line number."""
    for number, row in enumerate(csv.reader(lines), 1):
        try:
            name, mean, amplitude, phase = row
            yield name, float(mean), {"M2": (float(amplitude), float(phase))}
        except ValueError as error:
            raise BadRow(f"line {number}: {error}") from error


def main(path):
    with open(path, encoding="utf-8") as file:
        try:
            for name, mean, constituents in read(file):
                amplitude, phase = constituents["M2"]
                print(f"{name:<12} mean {mean:5.2f} m   M2 {amplitude:5.2f} m at {phase:3.0f}\\u00b0", flush=True)
                time.sleep(0.02)
        except BadRow as error:
            sys.exit(f"tidewatch: cannot import {path}: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
'''


HARBOURS = """stavanger,0.60,0.15,278
lerwick,1.31,0.58,313
newlyn,3.14,n/a,135
heligoland,2.46,1.09,309
"""


API = """# The forecast over HTTP

`GET /tide/NAME` answers `NAME LEVEL m`, the level now in metres above chart datum; 404 for an unknown harbour.
"""


HISTORY: tuple[SampleCommit, ...] = (
    SampleCommit(branch="main", message="Describe the project", author=ADA, days_ago=21.3, files={"README.md": README}),
    SampleCommit(
        branch="main",
        message="Sum the constituents of a tide",
        author=ADA,
        days_ago=20.1,
        files={"tidewatch/__init__.py": "", "tidewatch/harmonics.py": HARMONICS},
    ),
    SampleCommit(
        branch="main",
        message="Add three harbours",
        author=JON,
        days_ago=17.8,
        files={"tidewatch/stations.py": STATIONS, ".gitignore": "__pycache__/\n"},
    ),
    SampleCommit(
        branch="main",
        message="Test levels and stations",
        author=ADA,
        days_ago=16.0,
        files={"tests/__init__.py": "", "tests/test_levels.py": TESTS},
    ),
    SampleCommit(
        branch="docs/api",
        after="main",
        message="Describe the forecast over HTTP",
        author=JON,
        days_ago=9.2,
        files={"docs/api.md": API},
    ),
    SampleCommit(
        branch="main", message="Serve forecasts", author=ADA, days_ago=8.4, files={"tidewatch/serve.py": SERVE}
    ),
    SampleCommit(
        branch="faster-harmonics",
        after="main",
        message="Sum in one expression; forecast whole days",
        author=ADA,
        days_ago=2.6,
        files={"tidewatch/harmonics.py": FASTER},
    ),
    SampleCommit(
        branch="faster-harmonics",
        message="Test that a day has two tides",
        author=ADA,
        days_ago=2.5,
        files={"tests/test_days.py": DAY_TEST},
    ),
    SampleCommit(
        branch="import-stations",
        after="main",
        message="Import stations from a CSV file",
        author=JON,
        days_ago=0.9,
        files={"tidewatch/importer.py": IMPORTER},
    ),
    SampleCommit(
        branch="import-stations",
        message="Add the harbours of the North Sea",
        author=JON,
        days_ago=0.2,
        files={"data/north-sea.csv": HARBOURS},
    ),
)


def make_repository(path: Path) -> str:
    """Create the bare repository at `path`. Return a text with the number of commits and branches. Raises GitError."""
    created = process.run_git_capture("init", "--quiet", "--bare", "--initial-branch=main", str(path))
    if created.code:
        raise git_error(created, "Cannot create the sample repository")
    imported = subprocess.run(
        ("git", f"--git-dir={path}", "fast-import", "--quiet"),
        cwd="/",
        env=process.environment("file"),
        input=b"".join(_stream(HISTORY, time.time())),
        capture_output=True,
        check=False,
    )
    if imported.returncode:
        lines = tuple(imported.stderr.decode(errors="replace").splitlines())
        raise git_error(process.Outcome(imported.returncode, b"", lines), "Cannot create the sample history")
    return f"{len(HISTORY)} commits on {len({commit.branch for commit in HISTORY})} branches"


def _stream(history: Sequence[SampleCommit], moment: float) -> Iterator[bytes]:
    """Yield the history in the format of git fast-import."""
    for commit in history:
        message = commit.message.encode()
        yield f"commit refs/heads/{commit.branch}\n".encode()
        yield f"committer {commit.author} {int(moment - commit.days_ago * 86_400)} +0000\n".encode()
        yield b"data %d\n%s\n" % (len(message), message)
        if commit.after:
            yield f"from refs/heads/{commit.after}\n".encode()
        for name, text in commit.files.items():
            content = text.encode()
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
