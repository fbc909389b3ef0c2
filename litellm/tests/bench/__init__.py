"""What a scrape costs, ours beside the base package's: `python -m tests.bench [--quick]` in the folder `litellm`."""
