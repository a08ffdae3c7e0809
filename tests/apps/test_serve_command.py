"""`jzi serve`: who may ask, and a server that starts, answers and ends."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra 'serve'")


@pytest.fixture
def runs(monkeypatch):
    """Settings that the command would serve with."""
    found = []
    monkeypatch.delenv("JZI_TOKEN", raising=False)
    monkeypatch.setattr("justzoomin.apps.server.running.run", lambda localizer, settings, *_, **more: found.append(settings))
    return found


def test_other_addresses_need_a_key(jzi, runs, model, repository, monkeypatch):
    use = ("serve", "--model", model, "--map", repository)
    refused = jzi(*use, "--host", "0.0.0.0")
    assert refused.code == 1 and "JZI_TOKEN" in refused.err
    assert "without a key the service listens on loopback only" in refused.err
    for loopback in ("localhost", "127.0.0.1", "::1"):
        assert jzi(*use, "--host", loopback).code == 0 and runs[-1].token is None
    assert jzi(*use, "--host", "0.0.0.0", "--token", "given by option").code == 0 and runs[-1].token == "given by option"
    monkeypatch.setenv("JZI_TOKEN", "of the environment")
    assert jzi(*use, "--host", "0.0.0.0").code == 0 and runs[-1].token == "of the environment"
    assert jzi(*use, "--token", "given by option").code == 0 and runs[-1].token == "given by option"
    monkeypatch.setenv("JZI_TOKEN", "short")
    assert "JZI_TOKEN" in jzi(*use).err and len(runs) == 6


def test_wrong_options_are_refused_before_the_start(jzi, runs, model, repository, tmp_path):
    use = ("serve", "--model", model, "--map", repository)
    assert "it is not a folder" in jzi(*use, "--examples", tmp_path / "none").err
    assert jzi(*use, "--root-path", "where").code != 0 and jzi(*use, "--max-waiting", "0").code != 0
    assert not runs


def test_it_starts_answers_and_ends(model, repository, tmp_path):
    command = [sys.executable, "-m", "justzoomin.apps.main", "serve", "--model", str(model), "--map", str(repository),
               "--port", "0", "--jobs", str(tmp_path / "jobs")]
    environment = {**os.environ, "JZI_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as server:
        line = server.stdout.readline()
        try:
            assert line.startswith("page:"), server.stderr.read()
            with urllib.request.urlopen(f"{line.split()[1]}v1/map", timeout=60) as answer:
                assert json.load(answer)["grid"]["depth"] == 2
        finally:
            server.send_signal(signal.SIGTERM)
            _out, err = server.communicate(timeout=60)
    assert server.returncode in {0, -signal.SIGTERM} and "Traceback" not in err and "Only this machine is answered" in err
