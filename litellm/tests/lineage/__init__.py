"""The families that each LiteLLM release has, and their labels: the data, and how it is read."""
