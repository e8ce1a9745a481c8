"""Finding the server and its model."""

from __future__ import annotations

import importlib.util
import threading

import pytest

from dsa_lite.errors import MissingExtra, TeacherError, UsageError
from dsa_lite.teacher import Teacher, TeacherOptions
from dsa_lite_openai import open_teacher
from dsa_lite_openai.address import read_address
from dsa_lite_openai.teacher import OpenAITeacher

from .conftest import KEY, QUICK, FakeServer, Handler, ask, connect

OPTIONS = TeacherOptions()


def test_the_single_model_is_taken_and_named(server: FakeServer) -> None:
    with open_teacher(server.url, OPTIONS) as teacher:
        assert isinstance(teacher, Teacher)
        assert (teacher.name, teacher.fingerprint) == ("tiny", f"{server.url}#tiny")
        assert [r.text for r in teacher.write([ask(1)])] == ["fine"]
    assert server.asked[0]["model"] == "tiny"
    assert server.keys == {f"Bearer {KEY}"}


def test_a_server_without_key_gets_none(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with connect(server) as teacher:
        list(teacher.write([ask(1)]))
    assert server.keys == {"Bearer none"}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/models"])
def test_v1_is_found(server: FakeServer, path: str) -> None:
    with open_teacher(server.root + path, OPTIONS) as teacher:
        assert teacher.fingerprint == f"{server.url}#tiny"


def test_an_api_without_v1_is_found(server: FakeServer) -> None:
    server.listings = {"/api/models": ["other"]}
    with open_teacher(f"{server.root}/api", OPTIONS) as teacher:
        assert teacher.fingerprint == f"{server.root}/api#other"
    assert server.gets == ["/api/v1/models", "/api/models"]


def test_several_models_want_a_name(server: FakeServer) -> None:
    server.listings["/v1/models"] = ["org/big", "small:latest"]
    with pytest.raises(UsageError, match="has 2 models") as caught:
        open_teacher(server.url, OPTIONS)
    assert f"{server.url}#org/big" in caught.value.message
    for name, chosen in (("org/big", "org/big"), ("small", "small:latest")):
        with open_teacher(f"{server.url}#{name}", OPTIONS) as teacher:
            assert teacher.name == chosen
    with pytest.raises(UsageError, match="no model 'bib'"):
        open_teacher(f"{server.url}#bib", OPTIONS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("org/small:8b", "org/small:8b"),
        ("org%2Fsmall:8b", "org/small:8b"),
        ("small:8b", "org/small:8b"),
        ("Org/Small:8B", "org/small:8b"),
        ("models/deep/er/big.gguf", "/models/deep/er/big.gguf"),
        ("a b#c/d", "a b#c/d"),
    ],
)
def test_names_with_slashes(server: FakeServer, typed: str, meant: str) -> None:
    server.listings["/v1/models"] = ["org/small:8b", "/models/deep/er/big.gguf", "a b#c/d", "one/twice", "two/twice"]
    with OpenAITeacher(f"{server.url}#{typed}", TeacherOptions(), QUICK) as teacher:
        assert teacher.fingerprint == f"{server.url}#{meant}"
        list(teacher.write([ask(1)]))
    assert server.asked[0]["model"] == meant
    with pytest.raises(UsageError, match=r"no model .twice."):  # which of the two is not guessed
        OpenAITeacher(f"{server.url}#twice", TeacherOptions(), QUICK)


def test_models_that_cannot_chat_do_not_count(server: FakeServer) -> None:
    server.listings["/v1/models"] = ["text-embedding-nomic", "/models/some.gguf", "a-reranker"]
    with open_teacher(server.url, OPTIONS) as teacher:
        assert teacher.name == "some.gguf"
        assert teacher.fingerprint.endswith("#/models/some.gguf")


def test_no_model_at_all(server: FakeServer) -> None:
    server.listings["/v1/models"] = lambda handler: handler.send(200, '{"object": "list", "data": null}')
    with pytest.raises(TeacherError, match="has no model"):
        open_teacher(server.url, OPTIONS)


def test_a_named_model_needs_no_list(server: FakeServer) -> None:
    server.listings = {}
    with pytest.raises(TeacherError, match=r"no OpenAI-compatible server at .*404 no such page"):
        open_teacher(server.url, OPTIONS)
    with open_teacher(f"{server.url}#mine", OPTIONS) as teacher:
        assert [r.text for r in teacher.write([ask(1)])] == ["fine"]


def test_a_web_page_is_no_server(server: FakeServer) -> None:
    server.listings["/v1/models"] = lambda handler: handler.send(200, "<html>hello</html>", kind="text/html")
    with pytest.raises(TeacherError, match="something else than a list of models: '<html>hello") as caught:
        open_teacher(server.root, OPTIONS)
    assert "http://localhost:8080/v1" in caught.value.hint


def test_a_refused_key(server: FakeServer) -> None:
    said = f"Incorrect API key provided: {KEY}"
    server.listings["/v1/models"] = lambda handler: handler.fail(401, said)
    with pytest.raises(TeacherError, match="wants a key: 401 Incorrect API key provided") as caught:
        open_teacher(server.url, OPTIONS)
    assert "OPENAI_API_KEY" in caught.value.hint
    assert KEY not in caught.value.message


def test_a_server_that_is_still_loading_is_waited_for(server: FakeServer) -> None:
    answers = [503] * (QUICK.tries + 2) + [200]  # longer than a server that fails

    def loading(handler: Handler) -> None:
        status = answers.pop(0)
        handler.send(status, '{"data": [{"id": "late"}]}' if status == 200 else '{"error": {"message": "loading"}}')

    server.listings["/v1/models"] = loading
    with connect(server) as teacher:
        assert teacher.name == "late"


def test_nobody_there_leaves_no_thread(server: FakeServer) -> None:
    server.close()
    with pytest.raises(TeacherError, match="does not answer") as caught:
        open_teacher(server.url, OPTIONS)
    assert "is it running?" in caught.value.hint
    assert not [t for t in threading.enumerate() if t.name == "dsa-lite-openai"]


@pytest.mark.parametrize("source", ["localhost:8080", "http://", "ftp://host/v1", "http://host:port", "http://[::1"])
def test_what_is_no_url(source: str) -> None:
    with pytest.raises(UsageError, match="is not the URL"):
        read_address(source)


@pytest.mark.parametrize("source", ["http://me:pass-word@host/v1", "https://host/v1?key=pass-word"])
def test_secrets_in_the_url_are_refused_and_not_shown(source: str) -> None:
    with pytest.raises(UsageError, match="carries a password") as caught:
        read_address(source)
    assert "pass-word" not in caught.value.message


def test_a_key_that_cannot_be_sent(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "ключ")
    with pytest.raises(UsageError, match="cannot be sent") as caught:
        open_teacher(server.url, OPTIONS)
    assert "ключ" not in caught.value.message


@pytest.mark.parametrize("package", ["openai", "jsonschema"])
def test_a_missing_package(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingExtra, match=package) as caught:
        open_teacher("http://localhost:1/v1", OPTIONS)
    assert caught.value.hint == 'pip install "dsa-lite[openai]"'
