"""What a request works with: the service and the settings of the application that serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app

from event_service import EventService
from settings import Settings

EXTENSION = "tidemark"


@dataclass(slots=True)
class Context:
    """Put together once, by `create_app`."""

    service: EventService
    settings: Settings
    worker_is_stopping: Callable[[], bool] = lambda: False
    """Whether the server's worker has been told to end, or has served its last request; `gunicorn.conf.py` knows."""


def attach(app: Flask, context: Context) -> None:
    """Make the context known to the views of `app`."""
    app.extensions[EXTENSION] = context


def context(app: Flask | None = None) -> Context:
    """The context of `app`, or of the application serving this request."""
    found: Context = (app or current_app).extensions[EXTENSION]
    return found


def service() -> EventService:
    """The one door to events."""
    return context().service


def settings() -> Settings:
    """The settings in force."""
    return context().settings
