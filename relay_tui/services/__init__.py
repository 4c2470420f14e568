"""Use cases in plain Python: no widget, no docker, no git, no store library in here."""
