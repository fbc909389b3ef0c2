"""Inputs that no one would write, and what must hold of each: `python -m tests.fuzz` in the folder `litellm`."""
