"""Files that the server hands out for the page, without a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.static_files import folder_in_package
from dashboard.bundle import MODULES, bundle
from tests.servers import CHECKOUT

STATIC = CHECKOUT / "dashboard" / "static"
FILES = sorted(path.name for path in STATIC.iterdir())
SERVED = [*FILES, "main.js"]
MOST_LINES = 300
SOURCES = sorted([*STATIC.iterdir(), *MODULES.iterdir()])


def fetch(client: FlaskClient, path: str, **options: Any) -> TestResponse:
    """GET, with the file behind the answer read and closed."""
    return client.get(path, buffered=True, **options)


def test_page_comes_with_a_strict_policy(client: FlaskClient) -> None:
    answer = fetch(client, "/")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"


def test_page_has_nothing_inline_that_the_policy_would_block() -> None:
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    addresses = re.findall(r"https?://[^\s\"'`]+", path.read_text())
    assert [address for address in addresses if address != "http://www.w3.org/2000/svg"] == []


def test_every_file_the_page_names_is_there(client: FlaskClient) -> None:
    named = re.findall(r'(?:src|href)="(dashboard/[^"]+)"', (STATIC / "index.html").read_text())
    assert len(named) >= 5
    assert {name: fetch(client, f"/{name}").status_code for name in named} == dict.fromkeys(named, 200)


def test_no_module_is_long() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in MODULES.iterdir()}
    assert {name: length for name, length in lines.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize("module", sorted(MODULES.iterdir()), ids=lambda path: path.name)
def test_every_import_is_there_and_used(module: Path) -> None:
    text = module.read_text()
    for names, source in re.findall(r"import (.+?) from \"\./(.+?)\";", text):
        exporter = (MODULES / source).read_text()
        for name in re.findall(r"\w+", names.replace("* as", "")):
            assert "*" in names or re.search(rf"^export (async )?\w+ {name}\b", exporter, re.MULTILINE)
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{module.name} imports {name} and never uses it"


def test_every_module_is_in_the_one_script(client: FlaskClient) -> None:
    script = fetch(client, "/dashboard/main.js").text
    for module in MODULES.iterdir():
        last = module.read_text().rstrip().splitlines()[-1]
        assert last.removeprefix("export ") in script
    assert script.count("const format_module") == 1
    assert script.index("const format_module") < script.index("const tiles_module") < script.index("const main_module")


def test_modules_become_functions_in_the_order_of_their_imports() -> None:
    modules = {
        "b": 'import { one, two } from "./a.js";\nimport * as a from "./a.js";\nexport async function three() {}\n',
        "a": "export const one = 1;\nexport class two {}\n",
    }
    assert bundle(modules).split("\n") == [
        *("const a_module = (() => {", "const one = 1;", "class two {}", "", "return { one, two };", "})();"),
        *("const b_module = (() => {", "const { one, two } = a_module;", "const a = a_module;"),
        *("async function three() {}", "", "return { three };", "})();", ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'import { one as other } from "./b.js";',
        'import "./b.js";',
        'import one from "./b.js";',
        'import { one } from "https://example.com/b.js";',
        "export let one = 1;",
        "export default one;",
        "export { one };",
        'export * from "./b.js";',
    ],
)
def test_another_kind_of_import_or_export_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a.js has an import or export of another kind: {text}")):
        bundle({"a": f"const one = 1;\n{text}\n", "b": "export const one = 1;"})


def test_modules_that_import_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        bundle({"a": 'import { b } from "./b.js";', "b": 'import { a } from "./a.js";'})


@pytest.mark.parametrize("name", SERVED)
def test_files_are_asked_for_again_but_sent_once(client: FlaskClient, name: str) -> None:
    first = fetch(client, f"/dashboard/{name}")
    assert first.status_code == 200
    assert first.cache_control.no_cache
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    again = fetch(client, f"/dashboard/{name}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", ["uPlot.iife.js", "uPlot.min.css"])
def test_uplot_is_served_out_of_its_package(client: FlaskClient, name: str) -> None:
    answer = fetch(client, f"/dashboard/vendor/{name}")
    assert answer.status_code == 200
    assert answer.cache_control.max_age == 86400
    assert b"plot" in answer.data


@pytest.mark.parametrize(
    "path",
    ["nothing.js", "../__init__.py", "..%2f__init__.py", "vendor/__init__.py", "a/../../__init__.py", "%00"],
)
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    assert fetch(client, f"/dashboard/{path}").status_code == 404


def test_missing_package_says_what_to_install() -> None:
    with pytest.raises(RuntimeError, match="pip install uplot-python"):
        folder_in_package("uplot_is_not_here", "static", "uplot-python")


def test_uplot_is_served_without_being_imported() -> None:
    assert find_spec("uplot")
    code = (
        "import sys; from api.static_files import folder_in_package as find;"
        "print(find('uplot', 'static', '').name, 'uplot' in sys.modules, 'IPython' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == ["static", "False", "False"]
