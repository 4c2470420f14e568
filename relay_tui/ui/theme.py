"""Colours: the theme of relay's widgets, and the sixteen colours of logs, all of one brightness."""

from __future__ import annotations

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

CALM = Theme(
    name="relay",
    primary="#4aa5c9",
    secondary="#3a6f8a",
    accent="#4aa5c9",
    foreground="#d3d7dc",
    background="#14171a",
    surface="#1b1f23",
    panel="#21262b",
    success="#7fb36b",
    warning="#d8a657",
    error="#d9605a",
    dark=True,
    variables={
        "footer-key-foreground": "#4aa5c9",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-background": "#2a5266",
        "block-cursor-blurred-background": "#262c32",
        "scrollbar": "#3a4249",
        "scrollbar-hover": "#4d575f",
        "scrollbar-active": "#4aa5c9",
        "scrollbar-background": "#14171a",
        "button-focus-text-style": "bold",
    },
)

INK = TerminalTheme(
    (0x14, 0x17, 0x1A),
    (0xD3, 0xD7, 0xDC),
    [
        *((0x5B, 0x65, 0x6E), (0xD9, 0x60, 0x5A), (0x7F, 0xB3, 0x6B), (0xD8, 0xA6, 0x57)),
        *((0x6A, 0x9F, 0xDC), (0xB5, 0x86, 0xC4), (0x56, 0xB3, 0xBD), (0xD3, 0xD7, 0xDC)),
    ],
    [
        *((0x7A, 0x84, 0x8E), (0xEB, 0x83, 0x7C), (0x9C, 0xCC, 0x88), (0xE8, 0xC0, 0x78)),
        *((0x8D, 0xB9, 0xEC), (0xCC, 0xA4, 0xD9), (0x7C, 0xCD, 0xD6), (0xFF, 0xFF, 0xFF)),
    ],
)
"""Black and bright black are lighter than the background, so that text in them can be read."""
