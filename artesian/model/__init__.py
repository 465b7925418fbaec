"""Frozen types that every layer of the framework speaks in: what is seen, and what is wanted."""
