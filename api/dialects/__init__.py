"""Drop-in wire formats of four other services, over the same events."""
