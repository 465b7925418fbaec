"""The commands of a cluster; all they know they learn from its API."""
