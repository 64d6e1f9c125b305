"""The options of the command line, checked, as one value."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from random import SystemRandom
from typing import NoReturn

from simulator.dialects import DIALECTS, FORMATS, NoSuchForm, Target, target
from simulator.option_values import DEFAULT_URL, burst, idle, key, names, number, seconds, starts, url, whole
from simulator.pacing import Phases
from simulator.prices import DISTRIBUTIONS, WALK

LARGEST_BATCH = 1_000_000
SLOWEST_RATE = 0.001
STEP = 0.5
SPREAD = 0.5

DESCRIPTION = "Posts random prices to a Tidemark server over HTTP, and shows how that goes."
EPILOG = """\
examples:
  python -m simulator                                   100 events a second on ITEM_00 to ITEM_09
  python -m simulator --instruments AAPL,BTC/USD --start 190..210 --step 0.8 --interval 500ms -v
  python -m simulator --rate 2000 --threads 4 --burst 10s:2s:5 --idle 30s:3s --duration 1m
  python -m simulator --rate 0 --threads 2 --duration 10s   how fast is the server?
  python -m simulator --rate 0 --batch 1000 --format columns --count 1000000
  python -m simulator --distribution lognormal --spread 0.8 --start 40   like latencies, for percentiles
  python -m simulator --dialect batches --batch 100 --seed 7
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a run. Times are seconds; `rate` 0 means as fast as possible."""

    url: str
    key: str | None = field(repr=False)
    target: Target
    names: tuple[str, ...]
    starts: tuple[tuple[float, float], ...]
    distribution: str
    step: float
    spread: float
    decimals: int
    rate: float
    jitter: float
    phases: Phases
    threads: int
    batch: int
    duration: float
    count: int | None
    seed: str
    timeout: float
    verbose: bool
    quiet: bool


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; forty lines of usage above it would hide it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists all options)\n")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_where(parser.add_argument_group("where to"))
    _add_what(parser.add_argument_group("what"))
    _add_when(parser.add_argument_group("when"))
    report = parser.add_argument_group("report").add_mutually_exclusive_group()
    report.add_argument("-v", "--verbose", action="store_true", help="print each request instead of a progress line")
    report.add_argument("-q", "--quiet", action="store_true", help="print the summary only")
    return parser


def _add_where(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--url", type=url, default=DEFAULT_URL, help="the server (default %(default)s)")
    group.add_argument(
        "--key", type=key, metavar="TOKEN", help="the token of an access key, or @ and the name of a file that holds it"
    )
    group.add_argument("--dialect", choices=DIALECTS, default="native", help="the wire form (default %(default)s)")
    group.add_argument(
        "--batch", type=whole(1, LARGEST_BATCH), default=1, metavar="N", help="events in one request (default 1)"
    )
    group.add_argument(
        "--format",
        choices=FORMATS,
        help="the body of a native batch (default array); columns and values carry one series each, "
        "and values are stamped on arrival",
    )
    group.add_argument("--threads", type=whole(1, 256), default=1, metavar="N", help="posting threads (default 1)")
    group.add_argument("--timeout", type=seconds, default=10.0, metavar="TIME", help="for one answer (default 10s)")


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--instruments", type=names, default=names("10"), metavar="N|NAMES", help="how many, or names: AAPL,BTC/USD"
    )
    group.add_argument(
        "--start",
        type=starts,
        default=((50.0, 150.0),),
        metavar="PRICES",
        help="100, a range 50..150 (default), or one for each: 100,20,50..60",
    )
    group.add_argument(
        "--distribution",
        choices=DISTRIBUTIONS,
        default=WALK,
        help="of the prices: a walk from price to price (default), or each drawn anew around the starting price",
    )
    group.add_argument(
        "--step", type=number(0, 1e15, "a step of at least 0"), help=f"of a walk, at the most (default {STEP})"
    )
    group.add_argument(
        "--spread",
        type=number(0, 10, "a spread from 0 to 10"),
        help="of what is drawn: a part of the starting price (normal), the deviation of the logarithm (lognormal), "
        f"the weight of the tail (pareto) (default {SPREAD})",
    )
    group.add_argument("--decimals", type=whole(0, 15), default=2, metavar="N", help="of the prices (default 2)")
    group.add_argument("--seed", help="the same seed gives the same prices (default: a new one, which is printed)")


def _add_when(group: argparse._ArgumentGroup) -> None:
    pace = group.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate",
        type=number(0, 1e9, "a number of events a second; 0 means as fast as possible"),
        metavar="N",
        help="events a second over all instruments (default 100); 0: as fast as possible",
    )
    pace.add_argument("--interval", type=seconds, metavar="TIME", help="between two events of one instrument")
    group.add_argument(
        "--jitter",
        type=number(0, 1, "a part from 0 to 1"),
        default=0.0,
        metavar="PART",
        help="delay each request by up to this part of the time to the next (default 0)",
    )
    group.add_argument(
        "--burst", type=burst, metavar="EVERY:LENGTH[:FACTOR]", help="10s:2s:5 is 2 s of 5 times the rate every 10 s"
    )
    group.add_argument("--idle", type=idle, metavar="EVERY:LENGTH", help="30s:3s is 3 s of silence every 30 s")
    group.add_argument("--duration", type=seconds, default=math.inf, metavar="TIME", help="end after 90s, 5m, 1h30m")
    group.add_argument("--count", type=whole(1, 10**15), metavar="N", help="end after so many events")


def _rate(given: argparse.Namespace) -> float:
    if given.interval is not None:
        return float(len(given.instruments) / given.interval)
    return 100.0 if given.rate is None else float(given.rate)


def _fault(given: argparse.Namespace) -> str | None:
    """Return the fault of options that are right one by one; None if there is none."""
    instruments, starts = len(given.instruments), len(given.start)
    if starts not in (1, instruments):
        return f"--start has {starts} prices for {instruments} instruments; give one, or one for each"
    if given.distribution == WALK and given.spread is not None:
        return "--spread is for prices that are drawn; name a --distribution, or write --step for a walk"
    if given.distribution != WALK and given.step is not None:
        return f"--step is for a walk; write --spread for the distribution {given.distribution}"
    if given.threads > instruments:
        return (
            f"--threads {given.threads} needs at least as many instruments, since each belongs to one thread; "
            f"there are {instruments}"
        )
    if given.rate and given.rate < SLOWEST_RATE:
        return f"--rate {given.rate:g} is below {SLOWEST_RATE:g}; for a slower one write --interval 1h"
    if given.burst and given.rate == 0:
        return "--burst: there is nothing faster than --rate 0; give a rate"
    return None


def read_options(arguments: Sequence[str] | None = None, program: str = "python -m simulator") -> Options:
    """The options of a command line. Ends the program with a clear message when they are wrong."""
    parser = _parser(program)
    given = parser.parse_args(arguments)
    if fault := _fault(given):
        parser.error(fault)
    try:
        where = target(given.dialect, given.batch, given.format)
    except NoSuchForm as fault_of_form:
        parser.error(str(fault_of_form))
    burst, factor = given.burst or (None, 1.0)
    found = vars(given) | {
        "target": where,
        "names": given.instruments,
        "starts": given.start,
        "step": STEP if given.step is None else given.step,
        "spread": SPREAD if given.spread is None else given.spread,
        "rate": _rate(given),
        "phases": Phases(burst, factor, given.idle),
        "seed": str(SystemRandom().randrange(10**6)) if given.seed is None else given.seed,
    }
    return Options(**{each.name: found[each.name] for each in fields(Options)})
