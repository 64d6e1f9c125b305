"""What a process with ALERTS does about once a second: read a changed file, put its rules in force, look at alerts."""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path

from access.keys import BadKeys
from access.watch import read
from alerts.evaluation import Evaluator
from alerts.file import AlertsFile, BadAlerts, parse_file
from event_log.alerts import AlertsPayload
from event_service import EventService

logger = logging.getLogger("tidemark.alerts")


class AlertsFollower:
    """For one thread or greenlet of one process. A file that is broken leaves the last good one in force."""

    def __init__(self, path: Path, retention: int, start: str) -> None:
        """`start`: an id that all processes of one start of the service share. Raises BadAlerts, so that a start with a
        broken file ends in one line."""
        self._path = path
        self._retention = retention
        self._start = start
        self._text = b""
        self._file: AlertsFile | None = None
        self._is_put = False
        self._evaluator: Evaluator | None = None
        self.fault: str | None = None
        """What is wrong with the file as it is now."""
        self._load(self._read())

    def tick(self, service: EventService) -> None:
        """Do what is due. Raises LogError."""
        self._reread()
        if self._file is not None and not self._is_put:
            rules = json.dumps(self._file.entries, ensure_ascii=False)
            service.alert(AlertsPayload(start=self._start, rules=rules))
            self._is_put = True
        if self._evaluator is None:
            self._evaluator = Evaluator(service, secrets.token_hex(8))
        self._evaluator.look()

    def _reread(self) -> None:
        try:
            text = self._read()
            if text != self._text:
                self._load(text)
                logger.info("the file of alerts was read again")
            else:
                self.fault = None  # it is again what it was
        except BadAlerts as fault:
            if str(fault) != self.fault:
                logger.error("the file of alerts is not used as it is now, the last good one is: %s", fault)
            self.fault = str(fault)

    def _read(self) -> bytes:
        try:
            return read(self._path)
        except BadKeys as fault:
            raise BadAlerts(str(fault)) from fault

    def _load(self, text: bytes) -> None:
        self._file = parse_file(text, self._retention)
        self._text, self._is_put, self.fault = text, False, None
