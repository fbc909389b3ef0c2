"""Tests of the tools, and of what only tools can test: assets, documents, the real LiteLLM."""
