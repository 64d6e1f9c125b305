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
        assert "Log-Position" in headers["Access-Control-Expose-Headers"]
        assert headers["Vary"] == "Origin"

    def test_another_origin_may_not(self, client: FlaskClient) -> None:
        for origin in ({"Origin": OTHER}, {}):
            headers = client.get("/statistics", headers=origin).headers
            assert "Access-Control-Allow-Origin" not in headers
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
