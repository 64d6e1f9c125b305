"""A worker's own view of the log: kept level with it, asked, and never in anybody's way for long."""
