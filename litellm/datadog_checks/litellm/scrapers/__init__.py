"""Fetch a page and hand what happened to the Agent."""
