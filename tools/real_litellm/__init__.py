"""A harness that runs the real LiteLLM proxy; see README.md beside this file."""
