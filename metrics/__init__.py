"""How the service is doing: counters that all its workers share, and how they are told. Imports nothing of the API."""
