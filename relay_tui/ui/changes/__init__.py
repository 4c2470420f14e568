"""The Changes tab: what a session's clone has that a commit has not, file by file, line by line."""
