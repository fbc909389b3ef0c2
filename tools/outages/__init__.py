"""Record what a real LiteLLM counts, tells and answers while something that it needs is away."""
