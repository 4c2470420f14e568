"""Entry point, started by path: `python -I -S …/supervisor/__main__.py DIRECTORY`, with its order on stdin."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[4]))
    from relay_tui.adapters.process.supervisor.supervisor import main

    main(sys.argv[1])
