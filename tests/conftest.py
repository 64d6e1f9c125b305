"""Fixtures that tests share: a clock that stands still, the application over a log in memory, and each kind of log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from coverage.config import CoverageConfig
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

import app as composition
from api.context import context
from event_log.log_time import Moment
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import Settings
from tests import file_order, soak
from tests.browser import browser as browser  # fixtures
from tests.browser import driver as driver
from tests.event_log.stores import STORES, Clocks, StoreKind
from times import parse_timestamp

# How long an example takes says more about the machine than about the code; speed has its benchmarks.
UNTIMED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
# The same examples in each run of the suite: what is new is looked for in the soak, where luck costs nobody a release.
hypothesis.settings.register_profile("suite", UNTIMED, max_examples=25, derandomize=True)
hypothesis.settings.register_profile("soak", UNTIMED, max_examples=500)

Builder = Callable[..., tuple[str, str]]
compile_builder, builders = Rule._compile_builder, dict[object, Builder]()


def compiled_once(rule: Rule, append_unknown: bool = True) -> Builder:
    """Return how URLs of this rule are built: code that werkzeug compiles anew for each rule of each application,
    half of what most tests of the API took. It asks the rule for its converters, so rules that are alike can share
    it."""
    if rule.defaults:
        return compile_builder(rule, append_unknown)
    key = rule.rule, tuple(rule._trace), append_unknown
    if key not in builders:
        builders[key] = compile_builder(rule, append_unknown)
    return builders[key]


Rule._compile_builder = compiled_once  # type: ignore[assignment]

TRACING = "COVERAGE_PROCESS_CONFIG"
"""Variable in which coverage tells the processes that tests start to trace, and how."""
TRACED = (
    *("client/tests/", "tests/event_log/", "tests/serving/test_handover.py", "tests/serving/test_limits.py"),
    *("tests/serving/test_server_logs.py", "tests/simulator/test_demo.py", "tests/simulator/test_main.py"),
    "tests/test_app.py",
)
"""Tests whose processes do what no other test does. A traced server takes twice as long to start and to answer."""


def pytest_addoption(parser: pytest.Parser) -> None:
    file_order.pytest_addoption(parser)
    soak.pytest_addoption(parser)


def pytest_configure(config: pytest.Config) -> None:
    # Servers start in two thirds of the time where compiled modules are there; some images forbid to keep them.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    hypothesis.settings.load_profile("soak" if config.option.soak else "suite")
    file_order.pytest_configure(config)
    soak.pytest_configure(config)


pytest_generate_tests = soak.pytest_generate_tests


def pytest_collection_finish() -> None:
    """Have coverage tell greenlets apart in the processes that tests start. Here there are none, and to ask at each
    call which one runs would take half as long again."""
    if told := os.environ.get(TRACING):
        config = CoverageConfig.deserialize(told)
        config.concurrency = ["thread", "gevent"]
        os.environ[TRACING] = config.serialize()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have only processes traced that a test of TRACED starts which is not marked `no_cover`."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("no_cover") or not item.nodeid.startswith(TRACED):
            patch.delenv(TRACING, raising=False)
        return (yield)


START = parse_timestamp("2025-06-26T14:30:00Z")


class FakeClock:
    """A clock that moves when it is told to; microseconds since the epoch."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, microseconds: int) -> None:
        """Let time pass; a negative number is a clock that was set back."""
        self.now += microseconds

    def moment(self) -> Moment:
        """The same for a store, whose boot clock is in step."""
        return Moment(self.now, self.now)


@pytest.fixture
def clock() -> FakeClock:
    """Stands at 2025-06-26T14:30:00Z."""
    return FakeClock()


@pytest.fixture
def settings() -> Settings:
    """The defaults. A test module may override this."""
    return Settings()


@pytest.fixture
def app(settings: Settings, clock: FakeClock) -> Flask:
    """The whole application, its log in memory; a bug in a view fails the test instead of becoming a 500."""
    app = composition.create_app(settings, clock=clock, store=MemoryStore(clock.moment))
    app.testing = True
    return app


@pytest.fixture
def service(app: Flask) -> EventService:
    """The service behind `app`."""
    return context(app).service


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Talks to `app` without a server."""
    return app.test_client()


class Shared(Clocks):
    """The clocks of a store that go by the clock of the service."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def __call__(self) -> Moment:
        return self._clock.moment()


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[StoreKind]:
    """A kind of store: whatever test takes it is run on each."""
    kind = STORES[request.param](tmp_path, Shared(clock))
    yield kind
    kind.close()
