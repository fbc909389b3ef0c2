"""The ground that tests and tools stand on: servers, models and readers. No test lies here."""
