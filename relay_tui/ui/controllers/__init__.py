"""Controllers of the main screen: one object for each subject, with the code of its actions."""
