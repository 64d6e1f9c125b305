from __future__ import annotations

import signal
import sys

import pytest

from simulator.__main__ import main
from tests.simulator.fakes import CLOSED_PORT
from tests.simulator.processes import Program
from tests.simulator.stub import Stub


def test_a_run_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    with Stub() as server:
        assert main(["--url", server.url, "--rate", "0", "--count", "3"]) == 0
    assert "3 accepted" in capsys.readouterr().out


def test_no_server_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{CLOSED_PORT}"
    assert main(["--url", url]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"simulator: no server answers at {url} (connection refused); start one with `make run`")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_run_with_its_summary(number: signal.Signals) -> None:
    with Stub() as server, Program("simulator", f"--url {server.url} --rate 50 --threads 3 -v") as program:
        program.read_until("201")
        code, said = program.end(number)
        assert code == 0
    assert "Summary" in said
    assert "errors    none" in said
    assert "Traceback" not in said


def test_a_reader_that_goes_away_ends_a_run_quietly() -> None:
    with Stub() as server, Program("simulator", f"--url {server.url} --rate 200 -v") as program:
        program.read_until("201")
        program.stop_reading()
        assert program.process.wait(20) == 0


def test_the_help_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--instruments N|NAMES" in capsys.readouterr().out
    assert sys.modules["simulator.__main__"].__doc__
