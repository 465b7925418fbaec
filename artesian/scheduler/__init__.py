"""The loop: observe, decide, guard, act; and what users ask of it."""
