"""Routes that a document lists: each operation once."""

from __future__ import annotations

import re

from flask import Flask
from werkzeug.routing import Rule

_ARGUMENT = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")


def listed(app: Flask, base: str = "") -> list[Rule]:
    """The routes below `base`, without those that are there a second time: copies of a blueprint under another name,
    as at /v1, and paths that differ from another of the same view in a slash at the end alone."""
    own = (rule for rule in app.url_map.iter_rules() if rule.rule.startswith(f"{base}/") and not _is_copy(app, rule))
    # Of a view's decorators the first is applied last; it has the path as the view's author writes it.
    return list({(rule.endpoint, rule.rule.rstrip("/"), method_of(rule)): rule for rule in own}.values())


def path_of(rule: Rule) -> str:
    """The path as OpenAPI writes it."""
    return _ARGUMENT.sub(r"{\1}", rule.rule)


def arguments_of(rule: Rule) -> list[str]:
    """The names of what stands in the path."""
    return _ARGUMENT.findall(rule.rule)


def method_of(rule: Rule) -> str:
    """The one method of a rule, besides HEAD and OPTIONS."""
    [method] = (rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}
    return method.lower()


def _is_copy(app: Flask, rule: Rule) -> bool:
    name: str = rule.endpoint.rpartition(".")[0]
    return name.rpartition(".")[2] != app.blueprints[name].name
