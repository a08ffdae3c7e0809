"""Who may ask, and how much."""

import asyncio

import pytest

from justzoomin.apps.server.limits import Limits
from justzoomin.apps.server.settings import ServeSettings


def test_a_key_is_needed_where_there_is_one(ask, photos):
    client = ask(token="a long secret")
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/", 200), ("/docs", 200), ("/v1/map", 401)):
        assert client.get(path).status_code == status or path == "/readyz", path
    refused = client.post("/v1/localize", files=[("photos", photos[0])])
    assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
    assert "secret" not in refused.text
    assert client.get("/v1/map", headers={"Authorization": "Bearer a long secret"}).status_code == 200
    assert client.get("/v1/map", headers={"Authorization": "Bearer a long secre"}).status_code == 401
    assert client.get("/v1/map", headers={"Authorization": "Basic a long secret"}).status_code == 401
    assert client.get("/v1/map", headers={"Cookie": "jzi_token=\"a long secret\""}).status_code == 200
    assert client.get("/v1/map", headers={"Host": "anything.example"}).status_code == 401


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("localhost:8765", 200), ("127.0.0.1:1", 200),
                                              ("[::1]:8765", 200), ("evil.example", 421), ("evil.example:80", 421)])
def test_without_a_key_only_loopback_names_are_answered(ask, host, status):
    """A page elsewhere whose name is made to point here must not read anything."""
    assert ask().get("/v1/map", headers={"Host": host}).status_code == status


def test_other_pages_cannot_ask(ask, photos):
    file = [("photos", photos[0])]
    client = ask(cors="https://maps.example.org")
    assert client.post("/v1/localize", files=file, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post("/v1/localize", files=file, headers={"Origin": "null"}).status_code == 403
    own = client.post("/v1/localize", files=file, headers={"Origin": "http://localhost"})
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers
    allowed = client.post("/v1/localize", files=file, headers={"Origin": "https://maps.example.org"})
    assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == "https://maps.example.org"


def test_every_answer_is_guarded(ask):
    client = ask()
    for path in ("/", "/v1/map", "/nothing", "/healthz"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"] and headers["x-content-type-options"] == "nosniff"


def test_large_bodies_are_refused_early(ask):
    client = ask(max_body_mb=0.001)
    answer = client.post("/v1/localize", content=bytes(2000), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413 and "1,000 bytes" in answer.json()["what"]

    def endless():
        for _ in range(10_000):
            yield bytes(100)

    answer = client.post("/v1/localize", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413


def asked(receive, **settings):
    """What a guarded application that reads its whole body answers."""
    sent = []

    async def reader(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/localize", "root_path": "", "headers": [(b"host", b"localhost")]}
    asyncio.run(Limits(reader, ServeSettings(**settings))(scope, receive, send))
    return sent


def test_slow_bodies_end():
    async def never():
        await asyncio.sleep(3600)

    sent = asked(never, upload_idle_s=0.01)
    assert sent[0]["status"] == 408 and b"too slowly" in sent[1]["body"]

    async def drip():
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert asked(drip, upload_idle_s=10.0, upload_s=0.05)[0]["status"] == 408


def test_a_body_within_the_limits_passes():
    parts = [b"x" * 10, b"y" * 10, b""]

    async def whole():
        body = parts.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    assert [message.get("status") for message in asked(whole)] == [200, None]


def test_an_error_of_the_server_is_not_told(ask, localizer, monkeypatch, photos):
    client = ask()
    monkeypatch.setattr(type(localizer), "localize_loaded", lambda *_: 1 / 0)
    answer = client.post("/v1/localize", files=[("photos", photos[0])])
    assert answer.status_code == 500 and "division" not in answer.text and "Traceback" not in answer.text
    assert answer.json()["what"] == "the server made an error"


def test_under_a_path(ask, photos):
    client = ask(root_path="/where")
    for path in ("/where/v1/map", "/v1/map"):  # the proxy may leave the path in, or take it away
        assert client.get(path).json()["tiles"]["map"].startswith("/where/tiles/")
    assert client.get("/where", follow_redirects=False).headers["location"] == "/where/"
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/where"}]
