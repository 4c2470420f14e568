"""Connections to the engine.

relay does not use docker-py's own client for streams. It loses the first bytes of a hijacked stream, its reads cannot
be closed from another thread, and it ignores a broken docker context without an error.
"""
