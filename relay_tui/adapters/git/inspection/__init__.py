"""Looking at a session's clone from the host without trusting it: nothing in it is executed, followed, or believed."""
