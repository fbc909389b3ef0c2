"""Find what is wrong with an installation and its configuration: `python -m datadog_checks.litellm doctor --help`."""
