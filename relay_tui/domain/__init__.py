"""Frozen values, events and errors. Imports nothing of relay but `text`."""
