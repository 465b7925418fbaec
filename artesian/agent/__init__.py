"""What runs on every node: sees its disks, makes its assignment so, and reports."""
