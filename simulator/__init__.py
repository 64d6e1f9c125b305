"""A client that generates traffic: random walks, posted over HTTP at a rate that is held."""
