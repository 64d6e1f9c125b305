"""Accepted events on their way to open streams (Server-Sent Events, WebSockets), and statistics at intervals.

A `Feed` holds the open streams of one worker, each a `Subscriber`, a mailbox. One thread fills them all: `Channels`
fans new events out to them, `Pulses` asks each timed question once for all who listen.
"""

from __future__ import annotations

from streaming.endings import SHUTDOWN, Ending
from streaming.feed import Feed, NoPlace
from streaming.subscriber import Subscriber

__all__ = ["SHUTDOWN", "Ending", "Feed", "NoPlace", "Subscriber"]
