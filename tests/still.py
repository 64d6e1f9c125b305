"""Two applications for gunicorn whose clock stands still, so that both answer a request alike whenever it comes:
`app`, as it is served, and `flask_alone`, which has no fast path."""

from __future__ import annotations

from functools import partial

from flask import Flask

from app import create_app
from tests.conftest import START


def _still() -> Flask:
    return create_app(clock=lambda: START, follow=True)


def __getattr__(name: str) -> Flask:
    """Made when gunicorn asks for it: nothing runs at import."""
    if name not in ("app", "flask_alone"):
        raise AttributeError(name)
    app = _still()
    if name == "flask_alone":
        app.wsgi_app = partial(Flask.wsgi_app, app)  # type: ignore[method-assign]
    return app
