"""Drills: what may be provoked, on whom, what follows from what is seen, and when. Pure."""
