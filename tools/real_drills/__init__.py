"""Fault drills on the real LiteLLM: what the monitors do when it really happens."""
