"""`tidemark`: send events and look at statistics from a terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import click
from rich.live import Live
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from tidemark.answers import Statistics
from tidemark.client import Tidemark
from tidemark.errors import TidemarkError
from tidemark.words import Rows, as_csv, console, harmless, plot, table_of

TOKEN = "TIDEMARK_TOKEN"
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
    signal.signal(signal.SIGTERM, _end)
    try:
        for value in values or _from_pipe():
            tidemark.send(series, value)
    except ValueError as fault:
        raise click.ClickException(str(fault)) from fault
    finally:
        tidemark.close()
        _say_counts(tidemark, is_json)


def _end(signum: int, frame: object) -> NoReturn:
    """Leave the loop of `send`, whose `finally` sends the rest."""
    sys.exit(128 + signum)


def _say_counts(tidemark: Tidemark, is_json: bool) -> None:
    counts = tidemark.counts
    if is_json:
        click.echo(json.dumps({"stored": counts.stored, "expired": counts.expired}))
    else:
        click.echo(f"{counts.stored:,} stored" + (f", {counts.expired:,} expired" if counts.expired else ""))


def _from_pipe() -> Iterator[float]:
    """Yield the numbers of standard input; ValueError names the line that is none."""
    if sys.stdin.isatty():
        raise click.UsageError("name the values, or have them come from a pipe")
    columns = (TextColumn("{task.completed:,.0f} events"), TimeElapsedColumn())
    with Progress(*columns, console=console(error=True), disable=not sys.stderr.isatty()) as progress:
        for number, line in enumerate(progress.track(sys.stdin, total=None), 1):
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
    some = found if count is None else (statistics for _, statistics in zip(range(count), found, strict=False))
    if is_json:
        for statistics in some:
            click.echo(json.dumps(statistics))
    else:
        _show_live(some)


def _show_live(found: Iterable[Statistics]) -> None:
    with Live(console=console(), auto_refresh=False) as live:
        for statistics in found:
            rows = [{"statistic": name, "value": value} for name, value in statistics.items() if name != "last"]
            live.update(table_of(rows), refresh=True)


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
        console().print(table_of(rows))


def _words(names: str) -> list[str]:
    return [name for name in names.split(",") if name and name not in ("count", "min", "max", "mean")]


if __name__ == "__main__":
    main()
