"""Storage engines behind one port: what the scheduler asks of them, and what runs on nodes for them."""
