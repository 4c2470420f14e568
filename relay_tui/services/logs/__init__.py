"""Log feeds of one container or of several merged."""
