"""A small program that shows an NBD export as one file, by FUSE: a loop device, or fuse2fs, does the rest.

Against the programs that exist it outlives a restart of the NBD server (requests wait and are sent again)
and takes over a volume's new size while the file is in use; and it keeps the data of concurrent writes
apart, which qemu-storage-daemon's FUSE export does not do reliably (seen with 7.2).
"""
