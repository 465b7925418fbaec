"""Nodes that are agents of an Apache Mesos cluster."""
