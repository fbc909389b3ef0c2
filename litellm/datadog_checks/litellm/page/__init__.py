"""A metrics page: its text, its samples, what happened since the last page, and how many contexts leave."""
