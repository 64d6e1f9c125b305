"""A client that generates traffic: random prices, posted over HTTP at a rate that is held."""
