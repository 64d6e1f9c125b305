"""The application for gunicorn, whose workers read their log only once there is the file that HELD names."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flask import Flask

from api.context import context
from app import create_app
from event_log.port import Chunk, Cursor

HELD = "HELD"


def __getattr__(name: str) -> Flask:
    """Made when gunicorn asks for it: nothing runs at import."""
    if name != "app":
        raise AttributeError(name)
    app = create_app(follow=True)
    store = context(app).service.store
    read = store.read

    def read_once_there(cursor: Cursor, limit: int) -> Chunk:
        while not Path(os.environ[HELD]).exists():
            time.sleep(0.02)
        return read(cursor, limit)

    store.read = read_once_there  # type: ignore[method-assign]
    return app
