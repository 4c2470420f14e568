"""The sessions of the joint log's picture: one service on three branches, each of which is sent the same orders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

PROJECT = "payments"
BRANCHES = (
    ("main", 2, "Charges: say which card was refused"),
    ("feature/retries", 0.2, "Retry a charge that timed out, with the same key"),
    ("fix/webhooks", 0.4, "Webhooks: answer before the work is done"),
)
SESSIONS = (("retries", "feature/retries"), ("webhooks", "fix/webhooks"))
"""Those beside the first, with their branches."""
PROFILE = '\n[profiles.serve]\nimage = "acme/python:3.12"\ncommand = ["serve"]\ntty = false\n'
_BEGIN = ".replay"  # once it is in a session's clone, the service is sent the orders

PROGRAM = f"""#!/bin/sh
while [ ! -e /workspace/{_BEGIN} ]; do usleep 10000; done
while IFS='|' read -r pause line; do
    usleep "$pause"
    case $line in *ERROR*|*Error*) printf '%s\\n' "$line" >&2 ;; *) printf '%s\\n' "$line" ;; esac
done < "/usr/local/share/serve-$RELAY_SESSION.log"
case $RELAY_SESSION in webhooks) exit 1 ;; esac
exec sleep 1000000
"""

_MAIN = """
POST /orders 201 3 ms  order 8f2e
charge 8f2e: 49.90 EUR, card 4242, accepted in 212 ms
POST /hooks/bank 200 8 ms  order 8f2e paid
POST /orders 201 4 ms  order 8f30
charge 8f30: 12.00 EUR, card 0341, refused: expired
POST /orders 201 3 ms  order 8f31
<y>WARN<>  charge 8f31: no answer from the bank for 300 ms
<r>ERROR<> charge 8f31: given up after 600 ms; the order stays open
GET /orders/8f31 200 2 ms  open
POST /orders 201 3 ms  order 8f32
charge 8f32: 5.40 EUR, card 4242, accepted in 198 ms
POST /hooks/bank 200 7 ms  order 8f32 paid
"""
_RETRIES = """
POST /orders 201 4 ms  order 8f2e
charge 8f2e: 49.90 EUR, card 4242, accepted in 207 ms
POST /hooks/bank 200 9 ms  order 8f2e paid
POST /orders 201 3 ms  order 8f30
charge 8f30: 12.00 EUR, card 0341, refused: expired
POST /orders 201 4 ms  order 8f31
<y>WARN<>  charge 8f31: no answer from the bank for 300 ms; again, same key
charge 8f31: 80.00 EUR, card 4242, accepted in 341 ms <d>(second try)<>
GET /orders/8f31 200 2 ms  paid
POST /orders 201 3 ms  order 8f32
charge 8f32: 5.40 EUR, card 4242, accepted in 201 ms
POST /hooks/bank 200 8 ms  order 8f32 paid
"""
_WEBHOOKS = """
POST /orders 201 3 ms  order 8f2e
charge 8f2e: 49.90 EUR, card 4242, accepted in 209 ms
POST /hooks/bank 202 1 ms  order 8f2e, queued
POST /orders 201 4 ms  order 8f30
charge 8f30: 12.00 EUR, card 0341, refused: expired
POST /orders 201 3 ms  order 8f31
<y>WARN<>  charge 8f31: no answer from the bank for 300 ms
<r>Traceback (most recent call last): <>KeyError: 'charge'  in hooks/queue.py, line 41
"""
LOGS: Mapping[str, str] = {"main": _MAIN, "retries": _RETRIES, "webhooks": _WEBHOOKS}
_PACE = {"main": 61_000, "retries": 64_000, "webhooks": 58_000}  # microseconds between two lines


def lines(name: str, log: str) -> str:
    """A session's log as the program reads it: before each line, how long it waits."""
    return "".join(f"{_PACE[name]}|{line}\n" for line in log.strip("\n").split("\n"))


def begin(store: Path) -> None:
    """Send the services their orders."""
    document = json.loads(store.read_text())
    (project,) = (p["id"] for p in document["projects"].values() if p["name"] == PROJECT)
    for session in document["sessions"].values():
        if session["project_id"] == project:
            (Path(session["work_dir"]) / _BEGIN).touch()
