"""Which label, name and reduction a family gets: the rules of an instance, applied when a line is learned."""
