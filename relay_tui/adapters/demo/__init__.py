"""What the demo stands on: a throw-away directory, a sample repository, an image that can run it."""

from __future__ import annotations

from relay_tui.adapters.demo.image import runnable_image
from relay_tui.adapters.demo.repository import make_repository
from relay_tui.adapters.demo.stages import Stages

__all__ = ["Stages", "make_repository", "runnable_image"]
