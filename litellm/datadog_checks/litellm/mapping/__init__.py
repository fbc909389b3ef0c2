"""Decide on names, tags and reductions: the rules of an instance, applied when a line is learned."""
