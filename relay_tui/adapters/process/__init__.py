"""The process runtime behind the Runtime port: a session's command as a process group of this machine.

Nothing is imported here: a session's supervisor is started from these modules and has to be quick and small.
"""
