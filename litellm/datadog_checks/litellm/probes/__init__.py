"""The proxy's other endpoints, asked beside the scrape."""
