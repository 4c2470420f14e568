"""Dialogs: forms, questions, help, the checks of this machine."""
