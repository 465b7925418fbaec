"""Ceph as a storage engine: monitors are managers, OSDs are devices, images are volumes."""
