"""When something is wrong, what is to be done about it, and whether it may be: pure functions."""
