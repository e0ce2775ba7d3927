"""What the stack does before Airflow starts: reading users, making a bucket in a real S3 server (moto)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from deploy.stack import prepare


def test_first_users_are_read() -> None:
    assert list(prepare.first_users("ada:Admin:a:b rita:User:x")) == [
        prepare.FirstUser("ada", "Admin", "a:b"),
        prepare.FirstUser("rita", "User", "x"),
    ]


@pytest.mark.parametrize(
    "text", ["ada", "ada:Admin", "ada:Admin:", "ada:Boss:x", ":Admin:x", "Ada B:Admin:x"]
)
def test_a_wrong_user_is_refused_without_showing_the_password(text: str) -> None:
    with pytest.raises(
        prepare.CannotPrepare, match=r"User 2 in FIRST_USERS is not written NAME:ROLE:PASSWORD"
    ):
        list(prepare.first_users(f"ok:User:secret {text}"))


class TestBucket:
    @pytest.fixture
    def s3(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        yield f"http://{host}:{port}"
        server.stop()

    def test_is_made_once(self, s3: str, capsys: pytest.CaptureFixture[str]) -> None:
        prepare.make_bucket("s3://airlock/artifacts")
        prepare.make_bucket("s3://airlock/artifacts")
        assert capsys.readouterr().out == "Bucket airlock: made.\nBucket airlock: there.\n"

    def test_is_not_needed_for_a_folder(self, capsys: pytest.CaptureFixture[str]) -> None:
        prepare.make_bucket("file:///opt/airflow/artifacts")
        assert capsys.readouterr().out == ""

    def test_that_cannot_be_made_is_said(self, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        monkeypatch.setattr(prepare, "SECONDS_FOR_THE_STORE", 0.0)
        with pytest.raises(prepare.CannotPrepare, match="does not answer"):
            prepare.make_bucket("s3://airlock/artifacts")
