"""Requests that nobody sends by accident: each gets an answer that is not an error of the server, and photos go on."""

import json
import re
import socket
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from hostile_requests import EDGE, Hostiles

from justzoomin.apps.server.connections import protocol
from justzoomin.apps.server.problems import problem_response
from justzoomin.apps.server.running import listen
from justzoomin.apps.server.waiting import ClientGoneError

REQUESTS = 120
HEAD = b"POST /v1/localize HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=edge\r\n"


@contextmanager
def served(app, head_s=0.2):
    """Serve an application on a port of this machine, as `jzi serve` does."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, http=protocol(head_s), lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def asked(port, *pieces, wait=10.0):
    """What the server says to some bytes until it hangs up, or has answered."""
    with socket.create_connection(("127.0.0.1", port), wait) as connection:
        heard = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while more := connection.recv(1 << 16):
                heard += more
                found = re.search(rb"content-length: (\d+)", heard.lower())
                if b"\r\n\r\n" in heard and found and len(heard.partition(b"\r\n\r\n")[2]) >= int(found[1]):
                    break
        except ConnectionError:
            pass
        return heard


def test_hostile_requests_get_answers_and_photos_go_on(ask, photos, localizer, caplog):
    client = ask(max_body_mb=4, max_job_mb=4, upload_idle_s=0.3, upload_s=2.0)
    file = [("photos", photos[0])]
    right = client.post("/v1/localize", files=file).json()[0]
    ids = [
        client.post("/v1/sessions", files=[("photo", photos[0])]).json()["id"],
        client.post("/v1/jobs", files=file).json()["id"],
    ]
    hostiles = Hostiles(client.get("/openapi.json").json()["paths"], photos[0][1], ids)
    wrong, statuses = [], set()
    with served(client.app) as port:
        for seed in range(REQUESTS):
            hostile = hostiles.draw(seed)
            heard = asked(port, hostile.data)
            status = int(heard.split()[1]) if heard else 0
            statuses.add(status)
            if (status >= 500 and status != 503) or b"Traceback" in heard or b"site-packages" in heard or b"/tmp/" in heard:
                wrong.append((seed, hostile.kind, heard[:300]))
    assert not wrong, wrong[:3]
    assert {200, 400, 404, 422} <= statuses  # they reach the routes
    assert not [one for one in caplog.records if one.exc_info], caplog.text[-2000:]
    again = client.post("/v1/localize", files=file).json()[0]
    assert {**again, "seconds": 0} == {**right, "seconds": 0}


def test_a_connection_ends_that_never_sends_its_head_or_goes_on_after_the_answer(localizer):
    async def refuses(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with served(refuses) as port:
        assert asked(port) == b""  # only opens
        assert asked(port, HEAD) == b""  # half of a head
        with socket.create_connection(("127.0.0.1", port), 10.0) as connection:  # a body without end, long answered
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 404")
            assert connection.recv(1 << 16) == b""
        with socket.create_connection(("127.0.0.1", port), 10.0) as connection:  # idle after an answer: kept
            for _ in range(2):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 404")
                threading.Event().wait(0.3)
            connection.sendall(b"GET / HT")
            assert connection.recv(1 << 16) == b""


def test_damage_in_a_body_that_was_answered_early_ends_the_connection_quietly(caplog):
    async def refuses(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with served(refuses, 5.0) as port, socket.create_connection(("127.0.0.1", port), 10.0) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 404")
        connection.sendall(b"zz\r\n")
        assert connection.recv(1 << 16) == b""
    assert not [one for one in caplog.records if one.exc_info], caplog.text


@pytest.mark.parametrize("origin", ["http://[", "http://", "", "null", "//", "http://localhost:99999999"])
def test_strange_origins_are_refused(ask, photos, origin):
    answer = ask().post("/v1/localize", files=[("photos", photos[0])], headers={"Origin": origin, "Host": "localhost"})
    assert answer.status_code == 403 and answer.json()["where"] == "Origin"


@pytest.mark.parametrize("raster", [b"II*\0" + bytes(100), b"\x93NUMPY" + bytes(100), b"x"])
def test_a_broken_raster_is_the_clients_error_without_paths(ask, photos, raster):
    answer = ask().post("/v1/localize", files=[("photos", photos[0]), ("prior_raster", ("w.tif", raster))])
    assert answer.status_code == 422 and answer.json()["where"] == "prior_raster"
    assert "/tmp" not in answer.text and "prior-" not in answer.text


def test_a_client_that_has_left_is_no_error_of_the_server():
    assert problem_response(ClientGoneError()).status_code == 499


def test_a_client_that_leaves_while_its_photo_waits_leaves_nothing_behind(ask, photos, localizer, monkeypatch, caplog):
    client, release = ask(), threading.Event()
    own = type(localizer).localize_loaded
    monkeypatch.setattr(type(localizer), "localize_loaded", lambda *given: own(*given) if release.wait(10.0) else [])
    body = (
        f'--{EDGE}\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'.encode()
        + photos[0][1]
        + f"\r\n--{EDGE}--\r\n".encode()
    )
    with served(client.app) as port:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), 10.0) as connection:
                connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                while not json.loads(client.get("/readyz").text).get("waiting"):
                    pass
        release.set()
        assert client.post("/v1/localize", files=[("photos", photos[0])]).status_code == 200
    assert client.get("/readyz").json()["waiting"] == 0
    assert not [one for one in caplog.records if one.exc_info], caplog.text[-2000:]


def test_others_are_answered_while_a_prior_is_read(ask, photos, monkeypatch):
    """What takes long about a request is not done where all connections are served."""
    from justzoomin.apps.server import asked as module

    begun, release = threading.Event(), threading.Event()

    def slowly(*_):
        begun.set()
        assert release.wait(10.0)

    client = ask()
    monkeypatch.setattr(module.AskedFields, "_prior", slowly)
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(
            client.post("/v1/localize", files=[("photos", photos[0])], data={"prior_circle": "54.5,3,100"}).status_code
        )
    )
    thread.start()
    assert begun.wait(10.0) and client.get("/healthz").status_code == 200 and not answers
    release.set()
    thread.join()
    assert answers == [200]
