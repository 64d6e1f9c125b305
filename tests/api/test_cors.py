"""CORS_ORIGINS."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from settings import Settings

PAGE = "https://page.example"
OTHER = "https://other.example"


def test_without_the_setting_no_other_page_may_call(client: FlaskClient) -> None:
    assert "Access-Control-Allow-Origin" not in client.get("/statistics", headers={"Origin": PAGE}).headers


class TestNamedOrigins:
    """Only pages of these."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(cors_origins=(PAGE,))

    def test_a_named_origin_may_read(self, client: FlaskClient) -> None:
        headers = client.get("/statistics", headers={"Origin": PAGE}).headers
        assert headers["Access-Control-Allow-Origin"] == PAGE
        exposed = set(headers["Access-Control-Expose-Headers"].split(", "))
        assert exposed > {"Log-Position", "Series-Known", "Series-Matched", "Events-Expired", "Fields-Left-Out"}
        assert headers["Vary"] == "Origin"

    def test_it_may_send_credentials(self, client: FlaskClient) -> None:
        for method in ("GET", "OPTIONS"):
            headers = client.open("/statistics", method=method, headers={"Origin": PAGE}).headers
            assert headers["Access-Control-Allow-Credentials"] == "true"

    def test_another_origin_may_not(self, client: FlaskClient) -> None:
        for origin in ({"Origin": OTHER}, {}):
            headers = client.get("/statistics", headers=origin).headers
            assert not [name for name, _ in headers if name.startswith("Access-Control")]
            assert headers["Vary"] == "Origin"

    def test_errors_too_can_be_read(self, client: FlaskClient) -> None:
        response = client.get("/nope", headers={"Origin": PAGE})
        assert response.headers["Access-Control-Allow-Origin"] == PAGE


class TestAllOrigins:
    """`*`."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(cors_origins=("*",))

    def test_a_preflight(self, client: FlaskClient) -> None:
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        response = client.options("/event", headers=asked)
        assert response.status_code == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == {"OPTIONS", "POST"}
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert "Vary" not in response.headers

    def test_nobody_may_send_credentials(self, client: FlaskClient) -> None:
        for method in ("GET", "OPTIONS"):
            headers = client.open("/statistics", method=method, headers={"Origin": PAGE}).headers
            assert headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in headers

    @pytest.mark.parametrize("wanted", ["authorization", "content-type,idempotency-key", "X-A, x-b"])
    def test_a_page_may_send_the_headers_it_asks_for(self, client: FlaskClient, wanted: str) -> None:
        asked = {"Origin": PAGE, "Access-Control-Request-Headers": wanted}
        assert client.options("/event", headers=asked).headers["Access-Control-Allow-Headers"] == wanted

    @pytest.mark.parametrize("wanted", ["", "a b", "a,", "a;b", "é", "x" * 1001])
    def test_what_is_no_list_of_headers_is_not_repeated(self, client: FlaskClient, wanted: str) -> None:
        asked = {"Origin": PAGE, "Access-Control-Request-Headers": wanted}
        allowed = client.options("/event", headers=asked).headers["Access-Control-Allow-Headers"]
        assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(allowed.split(", "))
