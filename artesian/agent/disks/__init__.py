"""Which raw disks a node has, and everything about them that decides whether they may be taken.

Nothing here writes to a disk. What cannot be found out about one is said in `Disk.unreadable`.
"""
