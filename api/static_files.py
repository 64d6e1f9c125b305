"""Static files of our pages, ours and those of installed packages, under one strict policy."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from flask import Response, request, send_from_directory

from api.gzip_coding import GZIP, is_wanted, offer, pack

DAY_SECONDS = 86_400
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


_PACKABLE = (".html", ".js", ".css", ".svg")
_PACKED_FILES = 64


@cache
def folder_in_package(module: str, folder: str, distribution: str) -> Path:
    """A folder of an installed package, which is found, not imported: only its files are wanted."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"A page needs files that are not installed: pip install {distribution}")
    return Path(spec.submodule_search_locations[0]) / folder


def send_file(folder: Path, name: str, max_age: int | None = None) -> Response:
    """A file of a page. Without `max_age` a browser asks each time, and mostly hears 304."""
    packed = name.endswith(_PACKABLE) and is_wanted()
    response = send_from_directory(folder, name, max_age=max_age, conditional=not packed)
    if name.endswith(_PACKABLE):
        response.vary.add("Accept-Encoding")
    if packed:
        _pack(response, folder / name)
    return _secured(response)


def send_script(body: bytes) -> Response:
    """A script of a page that is no file. A browser asks for it each time, and mostly hears 304."""
    response = Response(body, mimetype="text/javascript")
    response.cache_control.no_cache = True
    offer(response).add_etag()  # each form has an ETag of its own
    response.make_conditional(request)
    return _secured(response)


def _secured(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _pack(response: Response, path: Path) -> None:
    """Send the file as gzip, under an ETag of its own."""
    etag, _ = response.get_etag()
    response.close()
    response.direct_passthrough = False
    response.set_data(_packed(path, etag))
    response.content_encoding = GZIP
    response.set_etag(f"{etag}-{GZIP}")
    response.make_conditional(request)


@lru_cache(_PACKED_FILES)
def _packed(path: Path, version: str | None) -> bytes:
    """A file in this version as gzip: made once."""
    return pack(path.read_bytes())
