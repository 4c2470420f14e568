"""The main screen: projects, sessions and the details of one session."""
