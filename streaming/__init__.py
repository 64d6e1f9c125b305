"""What accepted events become on their way to open streams: one follower of the log per worker."""

from __future__ import annotations

from streaming.endings import CLOSING, Ending
from streaming.feed import Closing, Feed, TooManyStreams
from streaming.subscriber import Subscriber

__all__ = ["CLOSING", "Closing", "Ending", "Feed", "Subscriber", "TooManyStreams"]
