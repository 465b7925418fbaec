"""Volumes for containers: a Docker volume plugin on every node, and the `dvdcli` that asks such plugins."""
