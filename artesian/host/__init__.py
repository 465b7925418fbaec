"""What every part needs of the operating system: files that survive a crash, locks, processes by identity."""
