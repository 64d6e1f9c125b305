"""Service and settings of the application, as its views find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, current_app

from access.foreign import Boundary
from alerts.board import Boards
from alerts.changes import ChangesHere
from alerts.following import AlertsFollower
from event_service import EventService
from metrics.meter import Meter
from settings import Settings

if TYPE_CHECKING:
    from api.fast_path import FastPath
    from api.guard import Guard

EXTENSION = "tidemark"


@dataclass(slots=True)
class Context:
    """Put together once, by `create_app`."""

    service: EventService
    settings: Settings
    meter: Meter
    boundary: Boundary
    """Refuses the requests of foreign pages."""
    boards: Boards
    """Tell how alerts stand."""
    alert_changes: ChangesHere
    """Hand changes of alerts to streams."""
    guard: Guard | None = None
    """None where no access keys are in use."""
    alerts: AlertsFollower | None = None
    """None where this process evaluates no alerts."""
    fast_path: Callable[[object], FastPath | None] = lambda application: None
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


def lease(series: str | None) -> Callable[[], bool] | None:
    """Return whether a stream of this series, or of all, that begins now may still go on; None: always."""
    guard = context().guard
    return None if guard is None else guard.lease(series)


def lease_as_is() -> Callable[[], bool] | None:
    """Return whether a stream of what the key of this request sees may still go on; None: always."""
    guard = context().guard
    return None if guard is None else guard.lease_as_is()


def meter() -> Meter:
    """Where requests and events are counted."""
    return context().meter


def settings() -> Settings:
    """The settings in force."""
    return context().settings
