"""relay: many coding sessions side by side, each in its own git clone and its own container."""

__version__ = "0.1.0"
