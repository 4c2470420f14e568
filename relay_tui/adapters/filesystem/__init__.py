"""Atomic writes, data files, directory trees, file locks."""
