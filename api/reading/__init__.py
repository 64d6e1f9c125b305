"""Requests on their way in: bytes in, columns out, or a Problem that says what is wrong."""
