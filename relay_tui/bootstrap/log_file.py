"""Log file of relay, with secrets redacted."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from relay_tui.paths import log_file
from relay_tui.text.sanitize import redact


class _Redacting(logging.Formatter):
    """Formatter that redacts secrets in every record."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def log_to_file(*, debug: bool = False, path: Path | None = None) -> None:
    """Write relay's log to its rotating file, or to `path`. Nothing is written to the screen, not even failures."""
    logging.raiseExceptions = False
    path = path or log_file()
    handler: logging.Handler
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError("a FIFO would wait for a reader")
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=1 << 20, backupCount=3, delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(_Redacting("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("relay_tui")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.propagate = False
