"""Log lines in memory: buffer, search, positions. No widgets, no Textual."""
