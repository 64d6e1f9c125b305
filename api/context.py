"""Service and settings of the application, as its views find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app

from access.foreign import Boundary
from alerts.board import Board
from alerts.changes import Changes
from alerts.following import AlertsFollower
from event_service import EventService
from metrics.meter import Meter
from settings import Settings
from view.per_process import PerProcess

EXTENSION = "tidemark"


@dataclass(slots=True)
class Context:
    """Put together once, by `create_app`."""

    service: EventService
    settings: Settings
    meter: Meter
    boundary: Boundary
    """Refuses the requests of foreign pages."""
    boards: PerProcess[Board]
    """Tell how alerts stand."""
    alert_changes: PerProcess[Changes]
    """Hand changes of alerts to streams."""
    overloaded: Callable[[str], Response]
    """Give the answer of an overloaded worker at a path."""
    alerts: AlertsFollower | None = None
    """None where this process evaluates no alerts."""
    fast_path: Callable[[object], Any] = lambda application: None
    """Make the fast path past this WSGI application; None where it is not the one that was composed."""
    worker_is_stopping: Callable[[], bool] = lambda: False
    """Return whether the worker has been told to end or has served its last request; `gunicorn.conf.py` sets it."""


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


def meter() -> Meter:
    """Return the counters of requests and events."""
    return context().meter


def settings() -> Settings:
    """The settings in force."""
    return context().settings
