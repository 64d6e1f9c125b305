"""What accepted events become on their way to open streams: one follower of the log per worker."""

from __future__ import annotations

from api.feed.endings import CLOSING, Ending
from api.feed.feed import Closing, Feed, TooManyStreams
from api.feed.subscriber import Subscriber

__all__ = ["CLOSING", "Closing", "Ending", "Feed", "Subscriber", "TooManyStreams"]
