"""The application for gunicorn, its answers with the pid of the worker that gave them in the header `Worker`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from app import create_app


def _named(wsgi_app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def call(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        named = ("Worker", str(os.getpid()))
        return wsgi_app(environ, lambda status, headers, *fault: start(status, [*headers, named], *fault))

    return call


def __getattr__(name: str) -> Flask:
    """Made when gunicorn asks for it: nothing runs at import."""
    if name != "app":
        raise AttributeError(name)
    app = create_app(follow=True)
    app.wsgi_app = _named(app.wsgi_app)  # type: ignore[method-assign]
    return app
