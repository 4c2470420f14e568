"""The log: pane, view and the merged log of several sessions."""
