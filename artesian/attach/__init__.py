"""Makes a block device, or a mounted file system, of a volume that is exported over NBD.

Knows nothing but NBD addresses, files and the system's tools. `attaching` is the way in: it picks a driver
and keeps a record, so that every step can be taken back after a crash; `filesystem` and `mounting` do the
rest.
"""
