"""Applications for gunicorn: `fast_alone` answers nothing by Flask, `denied` has somebody around it who denies all."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask

from app import create_app


def _deny(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("403 Forbidden", [("Content-Length", "0")])
    return []


def _fail(**_: object) -> str:
    raise RuntimeError("Flask was asked")


def __getattr__(name: str) -> Flask:
    """Made when gunicorn asks for it: nothing runs at import."""
    if name not in ("denied", "fast_alone"):
        raise AttributeError(name)
    app = create_app(follow=True)
    if name == "denied":
        inner = app.wsgi_app
        app.wsgi_app = lambda environ, start: (  # type: ignore[method-assign,assignment]  # how Flask has it done
            (inner if environ["PATH_INFO"] == "/health/ready" else _deny)(environ, start)
        )
    else:
        ready = [name for name in app.view_functions if name.endswith("ready")]
        app.view_functions = {name: app.view_functions[name] if name in ready else _fail for name in app.view_functions}
    return app
