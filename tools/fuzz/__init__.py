"""Inputs that no one would write, and what must hold of each: `python -m tools.fuzz`."""
