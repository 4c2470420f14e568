"""Sessions: drafts, build, start, stop, remove."""
