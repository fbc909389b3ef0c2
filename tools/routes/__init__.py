"""Record what LiteLLM counts for each route that it serves, with the official clients as the callers."""
