"""User interface: screens and widgets. The only package that imports Textual."""

import os

os.environ.setdefault("TEXTUAL_FPS", "240")
"""Textual's clock for drawing, read when it is imported. At its own 60 a key that comes while lines are drawn waits up
to two beats, 33 ms. Nothing is drawn oftener for it: log_pace.py and the services' announcements keep their own pace.
"""
