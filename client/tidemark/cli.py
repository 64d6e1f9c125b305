"""`tidemark`: send events and look at statistics from a terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import Any, NoReturn

import click
from rich.live import Live
from rich.progress import Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from tidemark.answers import Statistics
from tidemark.client import Tidemark
from tidemark.errors import NotSent, TidemarkError
from tidemark.words import Rows, as_csv, console, harmless, plot, shown, table_of

TOKEN = "TIDEMARK_TOKEN"
STILL_SECONDS = 2.0
"""`send` waits without end while events are being stored; once none was for so long, `CLOSE_SECONDS` more."""
CLOSE_SECONDS = 10.0
_ENDING = (signal.SIGINT, signal.SIGTERM)
_FORMS = [
    click.option("--json", "form", flag_value="json", help="Print JSON."),
    click.option("--csv", "form", flag_value="csv", help="Print CSV."),
]
_WINDOW = click.option("--window", help="A duration such as 90s, 5m, 1h30m; the server's window if not given.")


class Group(click.Group):
    """Commands whose failures are one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except TidemarkError as fault:
            raise click.ClickException(harmless(str(fault))) from fault
        except BrokenPipeError:  # who read our output has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)


@click.group(cls=Group)
@click.option("--url", default="http://localhost:5000", envvar="TIDEMARK_URL", show_default=True, help="The server.")
@click.pass_context
def main(ctx: click.Context, url: str) -> None:
    """Send events to a Tidemark server and ask it. The token of an access key comes from TIDEMARK_TOKEN."""
    try:
        ctx.obj = Tidemark(url, key=os.environ.get(TOKEN) or None)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    ctx.call_on_close(partial(_leave, ctx.obj))


def _leave(tidemark: Tidemark) -> None:
    """Close the connections: what could not be sent has been told."""
    with suppress(TidemarkError):
        tidemark.close(0)


def _forms(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in _FORMS:
        command = option(command)
    return command


@main.command()
@click.argument("series")
@click.argument("values", nargs=-1, type=float)
@click.option("--json", "is_json", is_flag=True, help="Print what became of the events as JSON.")
@click.pass_obj
def send(tidemark: Tidemark, series: str, values: Sequence[float], is_json: bool) -> None:
    """Send VALUES, or the numbers that come from a pipe, one a line. Negative ones stand behind `--`."""
    if not values and sys.stdin.isatty():
        raise click.UsageError("name the values, or have them come from a pipe")
    for number in _ENDING:
        signal.signal(number, _end)
    columns = (TextColumn("{task.completed:,.0f} sent,"), _Stored(tidemark), TimeElapsedColumn())
    is_shown = not values and sys.stderr.isatty()
    try:
        with Progress(*columns, console=console(error=True), disable=not is_shown) as progress:
            try:
                for value in values or _numbers(progress.track(sys.stdin, total=None)):
                    tidemark.send(series, value)
            finally:
                _send_the_rest(tidemark)
    except ValueError as fault:
        raise click.ClickException(str(fault)) from fault
    finally:
        _say_counts(tidemark, is_json)


class _Stored(ProgressColumn):
    """Number of events that the server has stored."""

    def __init__(self, tidemark: Tidemark) -> None:
        super().__init__()
        self._tidemark = tidemark

    def render(self, task: Task) -> Text:
        """Return the number as it is now."""
        return Text(f"{self._tidemark.counts.stored:,} stored")


def _end(signum: int, frame: object) -> NoReturn:
    """Leave the loop of `send`, whose `finally` sends the rest; a second signal ends the program at once."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + signum)


def _send_the_rest(tidemark: Tidemark) -> None:
    """Wait for as long as events are being stored, then close. Raises as `close` does."""
    try:
        waiting = -1
        while waiting != (waiting := tidemark.counts.waiting):
            with suppress(NotSent):
                tidemark.flush(STILL_SECONDS)
    finally:
        tidemark.close(CLOSE_SECONDS)


def _say_counts(tidemark: Tidemark, is_json: bool) -> None:
    stored, expired, refused, waiting = tidemark.counts
    others = {"refused": refused, "not known to be stored": waiting}
    some = {name: count for name, count in others.items() if count}
    if is_json:
        click.echo(json.dumps({"stored": stored, "expired": expired, **some}))
    else:
        some = ({"expired": expired} if expired else {}) | some
        click.echo(", ".join([f"{stored:,} stored", *(f"{count:,} {name}" for name, count in some.items())]))


def _numbers(lines: Iterable[str]) -> Iterator[float]:
    """Yield the numbers of some lines; ValueError names the line that is none."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _number(line, number)


def _number(line: str, number: int) -> float:
    try:
        return float(line)
    except ValueError:
        raise ValueError(f"line {number}: not a number: {harmless(line.strip()[:40])!r}") from None


@main.command()
@click.argument("series", required=False)
@_WINDOW
@click.option("--last", type=int, help="The last so many events.")
@click.option("--include", default="median,p99", show_default=True, help="Further statistics.")
@_forms
@click.pass_obj
def stats(
    tidemark: Tidemark, series: str | None, window: str | None, last: int | None, include: str, form: str | None
) -> None:
    """Show the statistics of SERIES, or of all."""
    found = tidemark.statistics(series, window=window, last=last, include=_words(include))
    if form == "json":
        click.echo(json.dumps(found))
    else:
        _print([found] if form else [{"statistic": name, "value": value} for name, value in found.items()], form)


@main.command()
@click.argument("series", required=False)
@_WINDOW
@click.option("--step", help="A duration; about 120 steps if not given.")
@click.option("--show", default="mean", show_default=True, help="The statistic to plot.")
@_forms
@click.pass_obj
def history(
    tidemark: Tidemark, series: str | None, window: str | None, step: str | None, show: str, form: str | None
) -> None:
    """Plot a statistic of SERIES, or of all, over time."""
    points = tidemark.history(series, window=window, step=step, include=_words(show))
    if form:
        _print(points, form)
        return
    screen = console()
    for line in plot([point[show] for point in points], screen.width):
        screen.print(line, soft_wrap=True)
    screen.print(f"{show} of {harmless(series or 'all series')}, {points[0]['start']} to {points[-1]['end']}")


@main.command()
@click.argument("series", required=False)
@_WINDOW
@click.option("--interval", default="1s", show_default=True)
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each.")
@click.pass_obj
def watch(
    tidemark: Tidemark, series: str | None, window: str | None, interval: str, count: int | None, is_json: bool
) -> None:
    """Show the statistics of SERIES, or of all, as they change; Ctrl+C ends it."""
    found = tidemark.watch(series, window=window, interval=interval)
    some = islice(found, count)
    with suppress(KeyboardInterrupt), closing(found):
        if is_json:
            for statistics in some:
                click.echo(json.dumps(statistics))
        else:
            _show_live(some)


def _show_live(found: Iterable[Statistics]) -> None:
    screen = console()
    if not screen.is_terminal or screen.is_dumb_terminal:
        for statistics in found:
            click.echo("  ".join(f"{row['statistic']} {shown(row['value'])}" for row in _rows(statistics)))
        return
    with Live(console=screen, auto_refresh=False) as live:
        for statistics in found:
            live.update(table_of(_rows(statistics)), refresh=True)


def _rows(statistics: Statistics) -> Rows:
    return [{"statistic": name, "value": value} for name, value in statistics.items() if name != "last"]


@main.command()
@click.option("--by", default="count", show_default=True, help="The statistic to sort by.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True)
@_WINDOW
@_forms
@click.pass_obj
def top(tidemark: Tidemark, by: str, limit: int, window: str | None, form: str | None) -> None:
    """Show the series with the highest value of a statistic."""
    found = tidemark.top(by, window=window, limit=limit)
    _print([{"series": entry["series"], **entry["statistics"]} for entry in found], form)


@main.command()
@click.option("--state", type=click.Choice(["inactive", "pending", "firing"]))
@_forms
@click.pass_obj
def alerts(tidemark: Tidemark, state: str | None, form: str | None) -> None:
    """Show the alerts and their states."""
    names = ("name", "series", "state", "since", "value", "summary")
    found = tidemark.alerts(state=state)
    _print(found if form == "json" else [{name: alert.get(name) for name in names} for alert in found], form)


def _print(rows: Rows, form: str | None) -> None:
    if form == "json":
        click.echo(json.dumps(rows))
    elif form == "csv":
        click.echo(as_csv(rows), nl=False)
    else:
        console().print(table_of(rows) if rows else "(none)")


def _words(names: str) -> list[str]:
    return [name for name in names.split(",") if name and name not in ("count", "min", "max", "mean")]


if __name__ == "__main__":
    main(prog_name="tidemark")
