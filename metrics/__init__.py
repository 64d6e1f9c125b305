"""Metrics of the service: counters that all its workers share, and their exposition. Imports nothing of the API."""
