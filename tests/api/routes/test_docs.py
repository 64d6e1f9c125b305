"""The OpenAPI document: complete, valid, true; and the page that shows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from playwright.sync_api import Browser, Page

from api.openapi.document import DIALECT, NATIVE_TAGS
from api.openapi.rules import method_of, path_of
from app import create_app
from settings import VERSION, Settings
from tests.servers import CHECKOUT, Server

Document = dict[str, Any]


@pytest.fixture
def document(client: FlaskClient) -> Document:
    found: Document = client.get("/openapi.json").get_json()
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_it_is_valid_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def plain(path: str) -> str:
    """Without what makes copies of a path: the stable form's prefix, a slash at the end, a dialect's own pages."""
    path = path.removeprefix("/v1").rstrip("/") or "/"
    return re.sub(r"^/dialects/\w+(?=/(docs|openapi\.json))", "", path)


def test_it_has_every_operation_once(app: Flask, document: Document) -> None:
    routes = {(plain(path_of(rule)), method_of(rule)) for rule in app.url_map.iter_rules()}
    listed = [(plain(path), method) for path, method, _ in operations(document)]
    assert sorted(listed) == sorted(routes)
    assert len(routes) > 25


def test_it_says_which_form_is_stable(app: Flask, document: Document) -> None:
    assert "`/v1`" in document["info"]["description"]
    assert [server["url"] for server in document["servers"]] == ["/", "/v1"]
    routes = {(path_of(rule), method_of(rule)) for rule in app.url_map.iter_rules()}
    for path, method, operation in operations(document):
        assert operation.get("servers") == (None if (f"/v1{path}", method) in routes else [{"url": "/"}])


@pytest.mark.parametrize(
    "base", [f"/dialects/{name}" for name in ("ticks", "transactions", "batches", "tickers", "influx")]
)
def test_a_dialect_has_its_own(client: FlaskClient, document: Document, base: str) -> None:
    own: Document = client.get(f"{base}/openapi.json").get_json()
    validate(own)
    assert own["servers"] == [{"url": base}]
    whole = {(path, method) for path, method, _ in operations(document) if path.startswith(base)}
    assert {(base + path, method) for path, method, _ in operations(own)} == whole
    named = {(kind, name) for kind, components in own["components"].items() for name in components}
    schemes = {("securitySchemes", "token"), ("securitySchemes", "password")}  # named without a reference
    assert named == set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(own))) | schemes


def test_a_dialects_document_is_the_whole_ones_part(client: FlaskClient, document: Document) -> None:
    own: Document = client.get("/dialects/batches/openapi.json").get_json()
    assert list(own["paths"]) == ["/add_batch/", "/stats/", "/stats/{symbol}/{k}"]
    for kind, components in own["components"].items():
        assert components.items() <= document["components"][kind].items()


def test_it_names_the_limit_in_force() -> None:
    client = create_app(Settings(log_url="memory:", max_batch=50)).test_client()
    document: Document = client.get("/openapi.json").get_json()
    schemas = document["components"]["schemas"]
    array, _ = document["paths"]["/events"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    for values in (array, *schemas["Columns"]["properties"].values(), schemas["NewBatch"]["properties"]["values"]):
        assert values["type"] != "array" or (values["minItems"], values["maxItems"]) == (1, 50)
    assert '"maxItems": 10000' not in json.dumps(document)


def test_one_version_is_declared(document: Document) -> None:
    newest = re.search(r"^(?:## \[|Becomes )(\d+\.\d+\.\d+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == document["info"]["version"] == VERSION


def test_parameters_come_from_the_schemas_that_validate(document: Document) -> None:
    operation = document["paths"]["/series/{series}/events"]["get"]
    series, limit = operation["parameters"]
    assert (series["in"], series["schema"]["maxLength"], series["required"]) == ("path", 128, True)
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    event = document["components"]["schemas"]["Event"]
    assert event["required"] == ["value"]
    assert event["additionalProperties"] is False
    assert event["properties"]["series"]["default"] == "default"


def test_every_example_of_a_request_works(client: FlaskClient, document: Document) -> None:
    tried = 0
    for path, method, operation in operations(document):
        for media_type, media in operation.get("requestBody", {"content": {}})["content"].items():
            for name, example in media["examples"].items():
                value = example["value"]
                data = value if isinstance(value, str) else json.dumps(value)
                response = client.open(path, method=method, data=data, content_type=media_type)
                stored = 204 if path.startswith("/dialects/influx/") else 201
                assert response.status_code == stored, (path, name, response.text)
                assert str(response.status_code) in operation["responses"]
                tried += 1
    assert tried >= 10


def test_an_answers_schema_is_the_one_that_its_view_names(document: Document) -> None:
    answers = document["paths"]["/history"]["get"]["responses"]["200"]["content"]
    assert answers["application/json"]["schema"] == {"$ref": "#/components/schemas/History"}


def test_a_docstring_is_summary_and_description(document: Document) -> None:
    operation = document["paths"]["/event"]["post"]
    assert operation["summary"] == "Take one event"
    assert operation["description"].startswith("An event without `timestamp` is stamped on arrival.\n")


def test_every_example_of_an_answer_is_what_its_schema_says(document: Document) -> None:
    tried = 0
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for media in response.get("content", {}).values():
                if "example" in media:
                    schema = {**media["schema"], "components": document["components"]}
                    OAS31Validator(schema).validate(media["example"])
                    tried += 1
                else:
                    assert not path.startswith("/statistics"), status
    assert tried >= 20


def test_the_stable_form_has_it_too(client: FlaskClient, document: Document) -> None:
    assert client.get("/v1/openapi.json").get_json() == document


def test_an_etag_spares_a_second_download(client: FlaskClient) -> None:
    etag = client.get("/openapi.json").headers["ETag"]
    response = client.get("/openapi.json", headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")


def test_a_worker_that_is_not_asked_loads_none_of_it() -> None:
    script = (
        "import sys; from app import create_app; from settings import Settings\n"
        "client = create_app(Settings(log_url='memory:')).test_client()\n"
        "assert client.post('/events', json={'values': [1]}).status_code == 201\n"
        "print([name for name in sys.modules if 'apispec' in name or 'swagger' in name])"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


class Links(HTMLParser):
    """Parser that collects the links of a page, and notes scripts and styles of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [value for name, value in attrs if name in ("src", "href") and value]
        if tag == "style" or (tag == "script" and "src" not in given) or any(name.startswith("on") for name in given):
            self.inline.append(tag)


@pytest.mark.parametrize("prefix", ["", "/v1", "/dialects/ticks"])
def test_the_page_is_made_of_our_own_files(client: FlaskClient, prefix: str) -> None:
    page = client.get(f"{prefix}/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    links = Links()
    links.feed(page.text)
    assert links.inline == []
    assert len(links.found) >= 5
    for link in links.found:
        assert re.fullmatch(r"[\w./-]+", link)
        response = client.get(f"{prefix}/{link}")
        assert response.status_code == 200
        assert response.headers.get("X-Content-Type-Options") == "nosniff" or link == "openapi.json"
        response.close()
    page.close()


@pytest.mark.parametrize("name", ["nope.js", "index.html", "../docs.py", "..%2Fdocs.py", "swagger-ui-bundle.js.map"])
def test_no_other_files_are_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A real one, with room for all the series that are made up."""
    with Server(["-w", "1"], {"TIDEMARK_LOG_URL": "memory:", "TIDEMARK_MAX_SERIES": "1000000"}) as server:
        yield server


DIALECTS = ("batches", "influx", "tickers", "ticks", "transactions")


def luminance(page: Page) -> float:
    """Return how light the ground of the page is, 0 to 1."""
    colour = page.evaluate(
        "[document.body, document.documentElement].map((one) => getComputedStyle(one).backgroundColor)"
        ".find((colour) => colour !== 'rgba(0, 0, 0, 0)')"
    )
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / (3 * 255)


def test_the_document_begins_with_what_is_native(client: FlaskClient, document: Document) -> None:
    names = [tag["name"] for tag in document["tags"]]
    assert names == [*NATIVE_TAGS, *(DIALECT + name for name in DIALECTS)]
    own = client.get("/dialects/ticks/openapi.json").get_json()
    assert [tag["name"] for tag in own["tags"]] == ["dialect ticks"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_the_page_works_in_a_browser_and_asks_nobody_else(server: Server, browser: Browser, prefix: str) -> None:
    faults: list[str] = []
    asked: list[str] = []
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.emulate_media(color_scheme="dark")
        page.goto(f"{server.url}{prefix}/docs")
        page.get_by_text("Take one event").first.wait_for()
        groups = page.locator(".opblock-tag").evaluate_all(
            "all => all.map((one) => [one.dataset.tag, one.dataset.isOpen])"
        )
        assert [name for name, _ in groups[:2]] == ["events", "statistics"]
        assert [name for name, is_open in groups if is_open == "false"] == [f"dialect {name}" for name in DIALECTS]
        page.locator("html.dark-mode").wait_for(state="attached")
        assert luminance(page) < 0.2
        page.emulate_media(color_scheme="light")
        page.locator("html:not(.dark-mode)").wait_for(state="attached")
        assert luminance(page) > 0.8
        page.get_by_text("Take one event").first.click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        page.locator(".live-responses-table").get_by_text('"stored": 1').wait_for()
        assert page.get_by_text("still loading").count() == 0
    assert faults == []
    assert [url for url in asked if not url.startswith(server.url)] == []


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "start.js"])
def test_the_page_says_so_where_a_script_does_not_load(server: Server, browser: Browser, name: str) -> None:
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.route(f"**/docs/{name}", lambda route: route.abort())
        page.goto(f"{server.url}/docs")
        page.get_by_text("still loading").wait_for()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/stream", 200),
        ("/stream?interval=0", 400),
        ("/stream?series=a*&series=b", 200),
        ("/series/a/stream?after=1", 200),
        ("/series/%00/stream", 400),
        ("/ws/a", 426),
        ("/dialects/tickers/ws/a", 426),
    ],
)
def test_streams_answer_as_documented(server: Server, path: str, status: int) -> None:
    """Apart from the others, since a stream that begins does not end."""
    document = requests.get(f"{server.url}/openapi.json", timeout=60).json()
    template = re.sub(r"/(a|%00)(?=/|$)", lambda _: "/{series}", path.partition("?")[0])
    template = template.replace("tickers/ws/{series}", "tickers/ws/{ticker}")
    responses = document["paths"][template]["get"]["responses"]
    with requests.get(server.url + path, stream=True, timeout=60) as response:
        assert response.status_code == status
        described = responses[str(status)]
        if "$ref" in described:
            described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
        assert response.headers["Content-Type"].partition(";")[0] in described["content"]
        missing = described.get("headers", {}).keys() - response.headers.keys()
        assert missing <= ({"Series-Matched"} if "series=" not in path else set())


def test_a_method_not_allowed_is_told_those_that_are(client: FlaskClient) -> None:
    """The document lists the same methods."""
    for path, operations in client.get("/openapi.json").get_json()["paths"].items():
        response = client.put(path.replace("{", "").replace("}", ""))
        allowed = {method.lower() for method in response.allow} - {"options", "head"}
        assert response.status_code == 405, path
        assert allowed == operations.keys() & {"get", "post", "delete"}, path


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)


@pytest.mark.soak(seconds=(4, 60))
def test_no_generated_request_gets_an_undocumented_answer(server: Server, seconds: int) -> None:
    """Run Schemathesis, for a bounded time, over all but the streams."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CHECKOUT / "tests/api/schemathesis.toml")),
            *("run", f"{server.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--exclude-tag-regex", "^streams", "--max-time", str(seconds), "--seed", "1"),
            *("--request-timeout", "60", "--no-color", "--warnings", "off", "--generation-database", "none"),
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(CHECKOUT / "tests/api/schemathesis_hooks.py")},
        cwd=server.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert '"traceback"' not in server.output()
