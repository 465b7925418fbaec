"""The versioned REST API: all that the command line and the agents know of the scheduler."""
