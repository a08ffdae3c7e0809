"""What all commands share: help, version, errors in one line, nothing heavy before it is needed."""

import subprocess
import sys

import pytest
import typer
from running import Jzi

from justzoomin.apps import main as module
from justzoomin.errors import TileError

HEAVY = ("torch", "transformers", "lightning", "cv2", "polars", "pyproj", "matplotlib", "numpy", "kornia", "PIL", "pydantic",
         "safetensors", "simplejpeg", "yaml")


def shell(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_help_answers_without_importing_anything_heavy() -> None:
    done = shell("import sys\nfrom justzoomin.apps.main import main\n"
                 "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    print('code', stop.code)\n"
                 f"print('heavy', [m for m in {HEAVY} if m in sys.modules])")
    assert "localize" in done.stdout
    assert done.stdout.endswith("code 0\nheavy []\n"), done.stdout[-300:] + done.stderr


def test_the_command_as_installed() -> None:
    words = [sys.executable, "-m", "justzoomin.apps.main", "grid", "encode"]
    done = subprocess.run([*words, "38.908513", "-76.940898"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7,6,6,5\n", "")
    done = subprocess.run([*words, "48.8566", "2.3522"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: position 48.856600, 2.352200: it is outside the region")
    assert done.stderr.count("\n") == 1


def commands(group: object, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    inside = getattr(group, "commands", None)
    if inside is None:
        return {words: group}
    return {k: v for name, command in inside.items() for k, v in commands(command, (*words, name)).items()}


def test_every_command_and_every_option_says_what_it_is(jzi: Jzi) -> None:
    found = commands(typer.main.get_command(module.app))
    assert {("localize",), ("train",), ("evaluate",), ("visualize",), ("demo",), ("data", "info"), ("data", "verify"),
            ("data", "synth"), ("map", "info"), ("map", "view"), ("model", "info"), ("model", "import"),
            ("grid", "encode"), ("grid", "decode")} <= set(found)
    for words, command in found.items():
        ran = jzi(*words, "--help")
        assert (ran.code, ran.err) == (0, ""), words
        assert max(map(len, ran.out.splitlines())) <= 80, words
        silent = [p.name for p in command.params if p.name != "help" and not p.help]  # type: ignore[attr-defined]
        assert not silent, (words, silent)


def test_version_and_wrong_words(jzi: Jzi) -> None:
    assert jzi("--version").out.strip().count(".") == 2
    for words in (("nope",), ("grid", "encode"), ("grid", "encode", "38.9", "-76.9", "--nope"), ("localize", "--nope")):
        ran = jzi(*words)
        assert (ran.code, ran.out) == (2, "")
        assert "Usage: jzi" in ran.err


@pytest.mark.parametrize(("error", "line"), [
    (TileError("shard.tar", "two\nlines", "Do this."), "error: shard.tar: two lines. Do this.\n"),
    (PermissionError(13, "Permission denied", "/x/y"), "error: /x/y: Permission denied. Check that it exists, that you may "
                                                       "read or write it, and that the disk has room.\n"),
    (OSError(28, "No space left on device", "/x/y"), "error: /x/y: the disk is full. Free some room and run the same command "
                                                     "again.\n"),
    (OSError(5, "Input/output error"), "error: a file: the disk reports an error. Check the disk and run the same command "
                                       "again.\n"),
])
def test_errors_are_one_line(jzi: Jzi, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "app", fail)
    ran = jzi("anything")
    assert (ran.code, ran.out, ran.err) == (1, "", line)


def test_errors_that_are_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "app", fail)
    with pytest.raises(ZeroDivisionError):
        module.main([])


def test_interrupted(jzi: Jzi, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "app", fail)
    assert jzi("anything").code == 130
