"""What a scrape costs, ours beside the base package's: `python -m tools.bench [--quick]` in the folder `litellm`."""
