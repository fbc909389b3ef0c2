"""The release matrix: real LiteLLM releases, old and new, each under the same traffic and scraped by the check."""
