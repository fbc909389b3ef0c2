"""Which Prometheus families a LiteLLM release can register, and whether the check knows them.

`python -m tests.drift` says how to use it.
"""
