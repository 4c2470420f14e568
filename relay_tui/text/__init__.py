"""Text that may be hostile made safe for a terminal, terminal escapes parsed, numbers formatted."""
