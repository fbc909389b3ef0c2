"""Find which Prometheus families a LiteLLM release can register, and whether the check knows them.

`python -m tools.drift` says how to use it.
"""
