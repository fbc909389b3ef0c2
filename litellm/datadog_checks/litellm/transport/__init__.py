"""Requests and answers: URLs, credentials, limits on bodies, and errors that say what to do."""
