"""Supervisor of one process session: started by path, outlives relay."""
