"""`/dialects/influx`: lines in, events of series out; held to a parser and a client of others."""

from __future__ import annotations

import gzip
import random
import re
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from line_protocol_parser import LineFormatError, parse_line
from werkzeug.test import TestResponse

from dialects import lines, single_lines
from dialects.line_columns import Chunk, parse_columns
from dialects.lines import PRECISIONS, TooMany, parse
from dialects.single_lines import BadLine
from event_log.batch import ON_ARRIVAL
from settings import Settings
from tests.conftest import START, FakeClock
from tests.servers import Server
from view import portions

BASE = "/dialects/influx"
NS = START * 1000


def write(
    client: FlaskClient, body: str | bytes, query: str = "", path: str = "/api/v2/write", **more: Any
) -> TestResponse:
    return client.post(f"{BASE}{path}{query}", data=body, **more)


def names(client: FlaskClient) -> dict[str, int]:
    return {entry["series"]: entry["count"] for entry in client.get("/series").get_json()["series"]}


def test_each_field_is_an_event_of_its_series(client: FlaskClient) -> None:
    answer = write(client, f"cpu,host=b,dc=a usage=0.5,n=3i,up=t {NS}\ncpu,dc=a,host=b usage=1.5 {NS + 999}\n")
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)
    assert names(client) == {"cpu,dc=a,host=b/n": 1, "cpu,dc=a,host=b/up": 1, "cpu,dc=a,host=b/usage": 2}
    found = client.get("/statistics/cpu,dc=a,host=b%2Fusage?include=last").get_json()
    assert (found["mean"], found["last"]["timestamp"]) == (1.0, "2025-06-26T14:30:00Z")
    assert int(answer.headers["Log-Position"]) > 0


OF_BOTH = {"": NS, "ns": NS, "us": START, "ms": START // 1000, "s": START // 10**6}
OF_1 = {"u": START, "n": NS}


@pytest.mark.parametrize(
    ("path", "precision", "time"),
    [("/api/v2/write", *each) for each in OF_BOTH.items()] + [("/write", *each) for each in (OF_BOTH | OF_1).items()],
)
def test_times_go_by_the_precision(client: FlaskClient, path: str, precision: str, time: int) -> None:
    assert write(client, f"a v=1 {time}", f"?db=x&precision={precision}", path).status_code == 204
    last = client.get("/statistics/a%2Fv?include=last").get_json()["last"]
    assert last["timestamp"] == "2025-06-26T14:30:00Z"


def test_without_a_time_it_is_now_also_beside_others(client: FlaskClient, clock: FakeClock) -> None:
    clock.advance(5_000_000)
    assert write(client, "a v=1").status_code == 204
    assert write(client, f"a v=2\na v=3 {NS}").status_code == 204
    events = client.get("/series/a%2Fv/events").get_json()["events"]
    assert sorted((event["value"], event["timestamp"][-4:]) for event in events) == [
        (1.0, ":05Z"),
        (2.0, ":05Z"),
        (3.0, ":00Z"),
    ]


def test_expired_events_and_strings_are_counted(client: FlaskClient) -> None:
    answer = write(client, f'a v=1,s="no, =\\" value\nsecond line" 1\na v=2 {NS}\n')
    assert (answer.status_code, answer.headers["Events-Expired"], answer.headers["Fields-Left-Out"]) == (204, "1", "1")
    only = write(client, 'a s="x"')
    assert (only.status_code, only.headers["Fields-Left-Out"], "Events-Expired" in only.headers) == (204, "1", False)
    assert names(client) == {"a/v": 1}


@pytest.mark.parametrize(
    ("line", "series"),
    [
        (r"a\,b,c\ d=e\=f g/h=1", r"a\,b,c\ d=e\=f/g\/h"),
        (r"a\\b v=1", r"a\\b/v"),
        ("a=b v=1", "a=b/v"),
        ("température v=1", "température/v"),
        ("# a comment\n\n  \r\na v=1\r\n", "a/v"),
    ],
)
def test_names_keep_the_backslashes_of_the_protocol(client: FlaskClient, line: str, series: str) -> None:
    assert write(client, line).status_code == 204
    assert names(client) == {series: 1}


@pytest.mark.parametrize(
    "bad",
    [
        *("a", "a ", "a v", "a v=", "a v=x", "a v=1 x", "a v=1 1 1", "a v=1,", ",b=c v=1", "a,b v=1", "a,b= v=1"),
        *("a,b=c,b=d v=1", "a v=1,v=2", "a v=NaN", "a v=1e999", "a v=1.5i", "a v=-1u", "a v=9223372036854775808i"),
        *("a v=1 99999999999999999999", 'a v="x', "a v=0x1", "a" * 130 + " v=1", "a\x01b v=1", "a,b=c,b=c v=1 1"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(client: FlaskClient, bad: str) -> None:
    answer = write(client, f"good v=1\n\n{bad}\n")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid")
    assert answer.get_json()["message"].startswith("line 3: ")
    assert names(client) == {}


def test_what_is_wrong_as_a_whole_is_told_in_the_same_shape(client: FlaskClient) -> None:
    for query, path in (("?precision=h", "/write"), ("?precision=u", "/api/v2/write")):
        assert write(client, "a v=1", query, path).get_json()["code"] == "invalid"
    assert write(client, b"a v=1\nb\xff v=1").get_json()["message"] == "line 2: not UTF-8"
    late = write(client, f"a v=1\na v=2 {NS + 10**12}").get_json()
    assert late["message"].startswith("line 2: more than")
    assert write(client, f"a v=1 {NS}\na v=2 {NS + 10**12}").get_json()["message"].startswith("line 2: more than")
    assert client.get(f"{BASE}/none").get_json()["code"] == "not found"
    assert client.get(f"{BASE}/write").get_json()["code"] == "method not allowed"
    assert write(client, "a v=1", headers={"Host": "evil.example"}).get_json()["code"] == "invalid"
    key = {"Idempotency-Key": "k"}
    assert [write(client, "a v=1", headers=key).status_code for _ in range(2)] == [204, 204]
    assert write(client, "a v=2", headers=key).get_json()["code"] == "unprocessable entity"
    assert write(client, "").status_code == 204


def test_lines_are_counted_not_values(client: FlaskClient) -> None:
    most = Settings().max_batch
    assert write(client, "a v=1\n" * most).status_code == 204
    assert write(client, "a v=1\n" * (most + 1)).get_json()["code"] == "request too large"
    assert write(client, "a b=1,c=2\n" * most).status_code == 204
    wide = "a " + ",".join(f"f{each}=1" for each in range(11)) + "\n"
    assert write(client, wide * most).status_code == 413


def test_it_says_that_it_is_there(client: FlaskClient) -> None:
    assert client.get(f"{BASE}/ping").status_code == 204
    assert client.head(f"{BASE}/ping").headers["X-Influxdb-Version"]
    health = client.get(f"{BASE}/health").get_json()
    assert (health["name"], health["status"], health["checks"]) == ("influxdb", "pass", [])


def test_the_media_type_is_ignored(client: FlaskClient) -> None:
    for kind in ("application/x-www-form-urlencoded", "application/json", "text/plain; charset=utf-16", "nothing"):
        assert write(client, f"a v=1 {NS}", content_type=kind).status_code == 204
    assert names(client) == {"a/v": 4}


def test_gzip_is_taken(client: FlaskClient) -> None:
    packed = gzip.compress(b"a v=1\n")
    assert write(client, packed, headers={"Content-Encoding": "gzip"}).status_code == 204
    assert names(client) == {"a/v": 1}


def word(rng: random.Random) -> str:
    return "".join(rng.choice(["a", "b", r"\,", r"\ ", r"\=", "é", "/"]) for _ in range(3))


def number(rng: random.Random) -> str:
    kinds = [f"{rng.randrange(-99, 99)}i", repr(rng.uniform(-9, 9)), "1e3", "t", "False", "0", "12", f'"{word(rng)}"']
    return rng.choice(kinds)


def line(rng: random.Random, plain: bool) -> str:
    if plain:
        tags = "".join(f",{name}={rng.choice('xyz')}" for name in rng.sample("abc", rng.randrange(3)))
        values = ["1", "-2.5", "1e3", "0.25", "12i", "-3i", "true", "false", repr(rng.gauss(0, 1e6))]
        fields = ",".join(f"{name}={rng.choice(values)}" for name in rng.sample("vwxyz", rng.randrange(1, 5)))
        return f"m{tags} {fields} {NS + rng.randrange(1000)}"
    tags = "".join(f",{name}={word(rng)}" for name in rng.sample(["k1", "k2", r"k\ 3"], rng.randrange(3)))
    fields = ",".join(f"{name}={number(rng)}" for name in rng.sample(["f1", "f2", r"f\,3"], rng.randrange(1, 4)))
    return f"m{word(rng)}{tags} {fields}{rng.choice(['', f' {NS}'])}"


def test_a_parser_of_others_reads_the_same() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        text = line(rng, plain=False)
        found = parse(text, PRECISIONS["ns"], 10)
        theirs = parse_line(text)
        numbers = [value for value in theirs["fields"].values() if not isinstance(value, str)]
        assert sorted(found.values.tolist()) == sorted(map(float, numbers)), text
        assert found.left_out == len(theirs["fields"]) - len(numbers), text
        time = ON_ARRIVAL if theirs["time"] is None else theirs["time"] // 1000
        assert set(found.times.tolist()) <= {time}, text
        tags = [f"{name}={value}" for name, value in sorted(theirs["tags"].items(), key=lambda tag: escaped(tag[0]))]
        head = ",".join([theirs["measurement"], *tags])
        wanted = {f"{head}/{name}" for name, value in theirs["fields"].items() if not isinstance(value, str)}
        assert {unescaped(name) for name in found.names} == set(map(unescaped, wanted)), text


def escaped(name: str) -> str:
    return name.replace(" ", "\\ ")


def unescaped(name: str) -> str:
    return re.sub(r"\\([,= /])", r"\1", name)


def test_what_others_refuse_is_refused() -> None:
    rng = random.Random(2)
    refused = 0
    for _ in range(3000):
        text = list(line(rng, plain=False))
        del text[rng.randrange(len(text))]
        changed = "".join(text)
        try:
            parse_line(changed)
        except LineFormatError:
            refused += 1
            with pytest.raises(BadLine):
                parse(changed, PRECISIONS["ns"], 10)
    assert refused > 100


def read_both(text: str, *, is_plain: bool) -> None:
    """Have a body read in columns and line by line, and compare."""
    fast = parse_columns(text, PRECISIONS["ns"], 1, {})
    reader = single_lines.Reader(text + "\n", PRECISIONS["ns"])
    try:
        [slow] = reader.read(len(text) + 1)
    except BadLine:
        assert fast is None, text
        return
    assert (fast is not None) >= is_plain, text
    if fast is not None:
        assert [fast.names[each] for each in fast.which] == [slow.names[each] for each in slow.which]
        for name in ("times", "values", "lines", "line_count", "left_out"):
            np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name), text)


def test_columns_and_single_lines_come_to_the_same() -> None:
    rng = random.Random(3)
    for _ in range(400):
        text = "\n".join(line(rng, plain=True) for _ in range(rng.randrange(1, 20)))
        read_both(text, is_plain=True)
        changed = list(text)
        for _ in range(rng.randrange(1, 3)):
            changed[rng.randrange(len(text))] = rng.choice(
                ["", " ", ",", "=", "i", "-", ".", "true", "1", "\n", "[", "é"]
            )
        read_both("".join(changed), is_plain=False)


def test_lines_with_the_same_fields_come_to_the_same_as_others() -> None:
    rng = random.Random(5)
    for _ in range(100):
        fields = rng.sample("vwxyz", rng.randrange(1, 5))
        rows = [[f"{name}={number}" for number, name in enumerate(fields, rng.randrange(9))] for _ in range(7)]
        heads = [f"m,host={rng.choice('ab')},dc={rng.choice('cd')}" for _ in rows]
        read_both(joined_lines(heads, rows), is_plain=True)
        rng.shuffle(rng.choice(rows))
        read_both(joined_lines(heads, rows), is_plain=True)
        taker, giver = rng.sample(rows, 2)
        taker.append(giver.pop().replace("=", "2="))
        read_both(joined_lines(heads, rows), is_plain=all(rows))
        for row in rows:
            row.append("u=1")
            row.append("u=2")
        read_both(joined_lines(heads, rows), is_plain=False)


def joined_lines(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"{head} {','.join(row)} {NS}" for head, row in zip(heads, rows, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a v=1,v=2",
            "a v=1,v=2\nb v=1,v=2",
            "a v=1,w=2\na v=1\na w=2,v=3,w=4",
            "a v=1\na v=2,w=3",
            "a v=1,w\na v=1,=2",
            "a,b=c,b=d v=1",
            "a v=1=b,2",
            "a v=1,b w=2",
            "a ,v=1",
            "a v=1i",
            "a v=1.5i",
            "a v=truei",
            "a v=-0",
        ),
        *(
            "a v=9223372036854775808i",
            "a v=9223372036854775808",
            "a v=1e999",
            "a v=1 true",
            "a v=1 1.0",
            "a v=null",
            "a v=",
        ),
        *(
            "a =1",
            "a v=1 9223372036854775808",
            "a v=1\na v=2 3",
            "a v=[1\na v=2]",
            "a v=1  2",
            " a v=1",
            "a v=1 ",
            "a/ v=1",
        ),
        *("a v=1\n\na v=2", "a v/=1", "a v=1\x0b", f"{'a' * 127} v=1", "a=b v=1", ",a=b v=1", "a, v=1", "a,b v=1"),
    ],
)
def test_what_looks_plain_is_read_as_it_is_line_by_line(text: str) -> None:
    read_both(text, is_plain=False)


def test_a_body_of_many_chunks_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK", 100)
    monkeypatch.setattr(single_lines, "LINES_AT_ONCE", 3)
    rng = random.Random(4)
    plain = [line(rng, plain=True) for _ in range(200)]
    mixed = [each for one in plain for each in (one, *(['s s="\n\n\n a v=1\n"'] if rng.random() < 0.05 else []))]
    found, expected = parse("\n".join(mixed), PRECISIONS["ns"], 1000), parse("\n".join(plain), PRECISIONS["ns"], 1000)
    assert found.left_out == len(mixed) - len(plain) > 3
    assert [found.names[each] for each in found.which] == [expected.names[each] for each in expected.which]
    np.testing.assert_array_equal(found.values, expected.values)
    text = "\n".join(mixed).split("\n")
    assert all(text[number - 1].startswith("m") for number in found.lines.tolist())


def test_one_long_line_lets_others_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    yields: list[None] = []
    monkeypatch.setattr(portions, "give_way", lambda: yields.append(None))
    with pytest.raises(TooMany):
        parse("a " + ",".join(f"field{each}=1" for each in range(30_001)), PRECISIONS["ns"], 3_000)
    assert len(yields) > 1


@pytest.mark.parametrize(
    "text", ["\n" * 1_000_000, " #\r\n" * 500_000, "# comment\n\n" * 150_000, "a v=1\n\n#\n" * 3_000]
)
def test_blank_lines_let_others_go_first(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Two megabytes of them held a worker for half a second."""
    chunks: list[Chunk] = []

    def note(found: Iterable[Chunk]) -> list[Chunk]:
        chunks.extend(found)
        return chunks

    monkeypatch.setattr(lines, "giving_way", note)
    found = parse(text, PRECISIONS["ns"], 3_000)
    assert len(found.values) == sum(chunk.line_count for chunk in chunks) == text.count("v=1")
    assert len(chunks) >= len(text) >> 16


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("m\\ " * 700_000, "expected a measurement, tags .*1000 characters at most"),
        ("\\" * 2_000_000, "expected a measurement, tags .*1000 characters at most"),
        ("m" + ",t=1" * 500_000 + " v=1", "expected a measurement, tags .*1000 characters at most"),
        ("m" * 1_001 + " v=1", "expected a measurement, tags .*1000 characters at most"),
        ("m" * 1_000 + " v=1", "must have 1 to 128 characters"),
        ('m v="' + '\\"' * 1_000_000, "expected a field such as value=1.5"),
        ('m v="' + "a" * 2_000_000, "expected a field such as value=1.5"),
    ],
)
def test_a_long_head_or_string_holds_nobody_up(text: str, says: str) -> None:
    """Two megabytes of one held a worker for up to 0.9 s, of which this may use a part."""
    began = time.thread_time()
    with pytest.raises(BadLine, match=f"^line 1: .*{says}"):
        parse(text, PRECISIONS["ns"], 3_000)
    assert time.thread_time() - began < 0.3


@pytest.fixture(scope="module")
def server() -> Any:
    with Server(["-w", "1"]) as running:
        yield running


def test_a_real_client_writes(server: Server) -> None:
    with InfluxDBClient(server.url + BASE, token="any", org="o", enable_gzip=True, timeout=60_000) as influx:
        assert influx.ping()
        with influx.write_api(WriteOptions(batch_size=50, flush_interval=200)) as api:
            for value in range(120):
                api.write("bucket", record=Point("real").tag("host", "a b").field("v", float(value)).field("s", "text"))
            api.write("bucket", record=Point("whole").field("n", 7), write_precision=WritePrecision.S)
    found = server.get("/statistics", params={}).json()
    assert found["count"] == 121
    assert server.get("/statistics/real,host=a%5C%20b%2Fv").json()["max"] == 119.0
    assert server.get("/statistics/whole%2Fn").json()["mean"] == 7.0
