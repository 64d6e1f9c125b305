"""How gunicorn runs the service: the worker, and its loop over the requests of a connection."""
