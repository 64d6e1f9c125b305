"""The feed behind the client, for the tests of streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from api import stream_answers
from streaming.feed import Feed


@pytest.fixture
def feed(app: Flask) -> Iterator[Feed]:
    """The feed of this application in this process, closed at the end."""
    with app.app_context():
        feed = stream_answers.feed()
    yield feed
    feed.close()
