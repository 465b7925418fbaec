"""From what is wanted and what is seen to ordered steps, and what of them may be taken now. Pure."""
