"""Measure what scraping costs the Agent and LiteLLM, with this check and with the base package's scraper."""
