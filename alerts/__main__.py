"""`python -m alerts check|try`: say whether a file of rules is good; show each rule's value and state now."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from alerts.file import AlertsFile, BadAlerts, parse_file
from alerts.trying import BadServer, Server, lines
from settings import PREFIX, BadSetting, read_settings
from watched.file import BadFile, read

_FAULT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 2 after a line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m alerts", description="Alerts of Tidemark.")
    commands = parser.add_subparsers(required=True, metavar="check|try")
    check = commands.add_parser("check", help="say whether the file is good")
    check.set_defaults(answer=_check)
    attempt = commands.add_parser("try", help="show the value and the state of each rule now; nothing is sent")
    attempt.set_defaults(answer=_try)
    attempt.add_argument("--url", default="http://localhost:5000", help="where the service answers")
    for command in (check, attempt):
        command.add_argument("file", nargs="?", help=f"the file of rules; without: {PREFIX}ALERTS")
    options = parser.parse_args(arguments)
    try:
        print(options.answer(options))
    except (BadFile, BadSetting, BadServer) as fault:
        print(f"alerts: {fault}", file=sys.stderr)
        return _FAULT
    return 0


def _check(options: argparse.Namespace) -> str:
    found = _file(options, read_settings().retention)
    return f"good: {len(found.rules)} alert(s), {len(found.receivers)} receiver(s)"


def _try(options: argparse.Namespace) -> str:
    return "\n".join(lines(_file(options, None), Server(options.url, os.environ.get("TIDEMARK_TOKEN"))))


def _file(options: argparse.Namespace, retention: int | None) -> AlertsFile:
    name = options.file or os.environ.get(PREFIX + "ALERTS")
    if not name:
        raise BadAlerts(f"which file? name it, or set {PREFIX}ALERTS")
    return parse_file(read(Path(name)), retention)


if __name__ == "__main__":
    sys.exit(main())
