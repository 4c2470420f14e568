"""Runs `relay` commands one after the other, as they come on stdin: starting Python for each takes too long."""

from __future__ import annotations

import io
import json
import sys

from relay_tui.cli import main as cli_main


def main() -> None:
    """A JSON list of arguments a line; answers a JSON list of exit code, stdout and stderr."""
    answers = sys.stdout
    for line in sys.stdin:
        out, err = io.BytesIO(), io.BytesIO()
        sys.stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(err, "utf-8", write_through=True)
        code = cli_main.run(json.loads(line))
        said = [stream.getvalue().decode("utf-8", "surrogateescape") for stream in (out, err)]
        answers.write(json.dumps([code, *said]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
