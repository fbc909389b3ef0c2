"""The wheel, in environments that hold nothing but what an Agent brings along: `python -m tools.agents`."""
