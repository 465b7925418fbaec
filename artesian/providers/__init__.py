"""Where new disks come from: one file an adapter, behind `port.DiskProvider`."""
