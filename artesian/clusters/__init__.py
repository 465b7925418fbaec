"""Cluster substrates behind one port: what hands us nodes, and starts our agent on them."""
