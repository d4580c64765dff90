"""A schema of one's own for drills and benches, and the look at the server before it is made."""
