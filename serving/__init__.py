"""Serving by gunicorn: the worker, and its loop over the requests of a connection."""
