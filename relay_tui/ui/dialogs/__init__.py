"""What opens over the panes: forms, questions, help."""
