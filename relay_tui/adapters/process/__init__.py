"""Runtime port for processes: a session's command is a process group of this machine.

Nothing is imported here, because a session's supervisor uses these modules and must start fast and stay small.
"""
