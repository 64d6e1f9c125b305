"""The declaration of the statistics, and that all else follows from it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator

from api.statistics import BASIC, INCLUDABLE, MEDIAN, STATISTICS
from tests.servers import CHECKOUT


def test_every_statistic_is_answered_as_documented(client: FlaskClient) -> None:
    components = client.get("/openapi.json").get_json()["components"]
    schema = {**components["schemas"]["Statistics"], "components": components}
    assert set(schema["properties"]) == {*STATISTICS, MEDIAN}
    names = (*INCLUDABLE, MEDIAN, "p99.9", "p100")
    for events in ([], [2.0, 3.5]):
        if events:
            assert client.post("/events", json={"values": events}).status_code == 201
        answer = client.get(f"/statistics?include={','.join(names)}").get_json()
        assert tuple(answer) == (*BASIC, *names)
        OAS31Validator(schema).validate(answer)
        assert all(answer[name] is not None for name in (*BASIC, *names)) == bool(events)


@pytest.mark.parametrize("name", BASIC)
def test_what_every_answer_has_may_be_included_and_is_there_once(client: FlaskClient, name: str) -> None:
    assert client.get(f"/statistics?include={name}").data == client.get("/statistics").data


def test_the_names_are_documented(client: FlaskClient) -> None:
    parameters = client.get("/openapi.json").get_json()["paths"]["/statistics"]["get"]["parameters"]
    [include] = [parameter for parameter in parameters if parameter["name"] == "include"]
    assert include["schema"]["items"]["anyOf"][0]["enum"] == [*BASIC, *INCLUDABLE, MEDIAN]
    assert f"?include={','.join((*INCLUDABLE, MEDIAN))},p99.9`" in (CHECKOUT / "docs" / "api.md").read_text()
