"""A client of Mesos' v1 HTTP APIs: scheduler, executor and operator."""
