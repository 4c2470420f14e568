"""Inspection of a session's clone from the host: status, changes, diffs, unsaved work."""
