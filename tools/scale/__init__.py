"""What scraping costs by number and size of proxies, and what each lever saves: `python -m tools.scale --write`."""
