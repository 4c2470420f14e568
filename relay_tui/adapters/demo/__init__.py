"""Parts of the demo: temporary directory, sample repository, image."""

from __future__ import annotations

from relay_tui.adapters.demo.demo_dirs import DemoDirectories
from relay_tui.adapters.demo.image import runnable_image
from relay_tui.adapters.demo.sample_project import make_repository

__all__ = ["DemoDirectories", "make_repository", "runnable_image"]
