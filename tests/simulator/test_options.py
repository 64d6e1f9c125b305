from __future__ import annotations

import math
from pathlib import Path

import pytest

from simulator.options import EPILOG, Options, read_options
from simulator.pacing import MICRO, Phases, Recurring


def read(line: str = "") -> Options:
    return read_options(line.split())


def test_the_defaults() -> None:
    options = read()
    assert options.url == "http://127.0.0.1:5000"
    assert options.names == tuple(f"ITEM_0{k}" for k in range(10))
    assert (options.rate, options.jitter, options.phases) == (100, 0, Phases())
    assert (options.threads, options.batch, options.count, options.duration) == (1, 1, None, math.inf)
    assert (options.starts, options.decimals) == (((50, 150),), 2)
    assert (options.distribution, options.step, options.spread) == ("walk", 0.5, 0.5)
    assert options.target.all_statistics == "/statistics"
    assert not options.verbose
    assert not options.quiet


def test_each_run_has_a_seed_of_its_own() -> None:
    assert len({read().seed for _ in range(20)}) > 15
    assert read("--seed abc").seed == "abc"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("1", "ITEM_00", "ITEM_00"), ("100", "ITEM_00", "ITEM_99"), ("1001", "ITEM_0000", "ITEM_1000")],
)
def test_so_many_instruments(text: str, first: str, last: str) -> None:
    names = read(f"--instruments {text}").names
    assert (names[0], names[-1], len(names)) == (first, last, int(text))


def test_named_instruments() -> None:
    assert read("--instruments AAPL,BTC/USD,température").names == ("AAPL", "BTC/USD", "température")
    assert read_options(["--instruments", "a b, c"]).names == ("a b", "c")


@pytest.mark.parametrize(
    ("text", "starts"),
    [("100", ((100, 100),)), ("1..2.5", ((1, 2.5),)), ("1,2..3,0", ((1, 1), (2, 3), (0, 0)))],
)
def test_starting_prices(text: str, starts: tuple[tuple[float, float], ...]) -> None:
    assert read(f"--instruments 3 --start {text}").starts == starts


def test_an_interval_is_a_rate_of_all_instruments() -> None:
    assert read("--instruments 20 --interval 500ms").rate == 40
    assert read("--instruments 3 --interval 1m").rate == 0.05


def test_phases() -> None:
    expected = Phases(Recurring(10 * MICRO, 2 * MICRO), 3, Recurring(30 * MICRO, 1_500_000))
    assert read("--burst 10s:2s:3 --idle 30s:1.5s").phases == expected
    assert read("--burst 10s:2s").phases.burst_factor == 5


def test_an_end() -> None:
    options = read("--duration 1h30m --count 1000 --timeout 250ms")
    assert (options.duration, options.count, options.timeout) == (5400, 1000, 0.25)


def test_an_address_loses_its_last_slash() -> None:
    assert read("--url https://example.org:8443/tidemark/").url == "https://example.org:8443/tidemark"


def test_a_key_comes_itself_or_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("tm_secret\n")
    assert read("--key tm_secret").key == read(f"--key @{file}").key == "tm_secret"
    assert read("").key is None
    assert "secret" not in repr(read("--key tm_secret"))


@pytest.mark.parametrize("line", [row.split("   ")[0] for row in EPILOG.splitlines()[1:] for row in [row.strip()]])
def test_the_examples_of_the_help_are_right(line: str) -> None:
    assert line.startswith("python -m simulator")
    read(line.removeprefix("python -m simulator"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--instruments 0", "'0' is not a whole number from 1 to 100,000"),
        ("--instruments a,,b", "'' is not a name: write 1 to 128 printable characters"),
        ("--instruments a/", "'a/' is not a name: write 1 to 128 printable characters, no slash at the end"),
        ("--instruments " + "x" * 129, "is not a name"),
        ("--instruments a,b,a", "'a' is named twice"),
        ("--key @/nowhere/at/all", "the file '/nowhere/at/all' cannot be read"),
        ("--key tm_ü", "a token is one word, such as `python -m access new` prints"),
        ("--start x", "'x' is not a price from 0 to 1e15"),
        ("--start nan", "'nan' is not a price"),
        ("--start 3..1", "'3..1' runs backwards; write the lower price first"),
        ("--start 1,2", "--start has 2 prices for 10 instruments; give one, or one for each"),
        ("--step", "expected one argument"),
        ("--step -1", "'-1' is not a step of at least 0"),
        ("--distribution zipf", "invalid choice: 'zipf'"),
        ("--distribution pareto --spread 11", "'11' is not a spread from 0 to 10"),
        ("--spread 1", "--spread is for prices that are drawn; name a --distribution, or write --step for a walk"),
        ("--distribution normal --step 1", "--step is for a walk; write --spread for the distribution normal"),
        ("--rate -5", "'-5' is not a number of events a second; 0 means as fast as possible"),
        ("--rate 0.0001", "--rate 0.0001 is below 0.001; for a slower one write --interval 1h"),
        ("--rate 5 --interval 1s", "not allowed with argument"),
        ("--interval 0", "is not above zero"),
        ("--interval 5x", "'5x' is not a duration; write 90s, 5m, 1h30m, 500ms or plain seconds."),
        ("--duration 9999999h", "'9999999h' is too long; the longest is a year"),
        ("--jitter 2", "'2' is not a part from 0 to 1"),
        ("--burst 10s", "'10s' lacks a length; write EVERY:LENGTH[:FACTOR], such as 10s:2s:5"),
        ("--burst 10s:2s:0", "'0' is not a factor from 1 to 1000"),
        ("--burst 1s:2s --rate 0", "leaves nothing between"),
        ("--burst 2s:1s --rate 0", "--burst: there is nothing faster than --rate 0; give a rate"),
        ("--idle 3s", "'3s' lacks a length; write EVERY:LENGTH, such as 30s:3s"),
        ("--idle 3s:3s", "leaves nothing between; the period must be at least 10ms longer than the length"),
        ("--idle 50ms:10ms", "'50ms:10ms' recurs too often; the shortest period is 100ms"),
        ("--threads 11", "--threads 11 needs at least as many instruments"),
        ("--batch 1.5", "'1.5' is not a whole number from 1 to 1,000,000"),
        ("--count 0", "'0' is not a whole number"),
        ("--url localhost:5000", "'localhost:5000' is not the address of a server; write one such as http://"),
        ("--url http://[::1", "is not the address of a server"),
        ("--url http://h:99999", "is not the address of a server"),
        ("--url ftp://h", "is not the address of a server"),
        ("--dialect ticks --batch 2", "the ticks dialect takes one event a request; leave --batch out"),
        ("--dialect xml", "invalid choice: 'xml'"),
        ("-v -q", "not allowed with argument"),
        ("--frobnicate", "unrecognized arguments: --frobnicate"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read(line)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in said
    assert said.startswith("python -m simulator: ")
    assert said.endswith("(--help lists all options)\n")
    assert said.count("\n") == 1
