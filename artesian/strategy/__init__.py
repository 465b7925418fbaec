"""How the wanted topology follows from what the user wants and what is seen: pure functions."""
