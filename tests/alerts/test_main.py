"""`python -m alerts check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.__main__ import main

GOOD = '[[alert]]\nname = "silent"\nabsent = "5m"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alerts.toml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_counted(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["check", str(file)]) == 0
    monkeypatch.setenv("TIDEMARK_ALERTS", str(file))
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "good: 1 alert(s), 0 receiver(s)\n" * 2


def test_what_is_wrong_is_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEMARK_ALERTS", raising=False)
    file.write_text(GOOD.replace("5m", "5 minutes"))
    for arguments, told in (
        (["check", str(file)], "line 3: alert 'silent': absent"),
        (["check", str(file.parent / "none")], "cannot be read"),
        (["check"], "which file"),
    ):
        assert main(arguments) == 2
        printed = capsys.readouterr().err
        assert told in printed
        assert printed.count("\n") == 1
    monkeypatch.setenv("TIDEMARK_RETENTION", "1m")
    file.write_text(GOOD)
    assert main(["check", str(file)]) == 2
    assert "retention" in capsys.readouterr().err
