"""Text from outside cannot move a terminal, colour it, hide words or break JSON, whichever way it is printed."""

import io
import json
import re
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from running import Jzi

from justzoomin.apps.shared import console
from justzoomin.apps.shared.terminal import PlainStream, guard_streams, visible
from justzoomin.errors import GeometryError
from justzoomin.spelling import json_text, spelled

HOSTILE = "\x1b]0;owned\x07 \x1b[8mhidden \x9b31m \x7f \u202egnp.exe \udcff\U000e0041 [red]x[/] :key:"
SHOWN = r"\u001b]0;owned\u0007 \u001b[8mhidden \u009b31m \u007f \u202egnp.exe \xff\udb40\udc41 [red]x[/] :key:"


def clean(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@given(st.text(st.characters()))
def test_json_stays_the_same_json(text: str) -> None:
    shown = visible(json_text({text: text}))
    assert clean(shown) and json.loads(shown) == {spelled(text): spelled(text)}
    assert clean(visible(text).removeprefix("\r"))


def test_what_is_visible_stays_as_it_is() -> None:
    words = "Münster, 100 m², 東京\n\tsecond line"
    assert visible(words) == words and visible("a\r\nb\r") == "a\nb\\u000d" and visible(HOSTILE) == SHOWN


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_a_stream_takes_what_its_encoding_has_not(encoding: str) -> None:
    raw = io.BytesIO()
    stream = PlainStream(io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    print("東京", HOSTILE, file=stream)
    said = raw.getvalue().decode(encoding)
    assert clean(said) and SHOWN in said and ("東京" in said) == (encoding == "utf-8")


@pytest.mark.parametrize("terminal", [True, False])
def test_every_way_to_print_is_clean(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Terminal() if terminal else io.StringIO(), Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    guard_streams()
    guard_streams()
    table = Table("split", title=HOSTILE)
    table.add_row(HOSTILE)
    console.out().print(table)
    console.out().print(HOSTILE)
    typer.echo(HOSTILE, color=True)
    console.print_json({"it": HOSTILE})
    sys.stderr.write(HOSTILE)
    console.err().print(HOSTILE)
    with console.stage_bars() as advance:
        advance(HOSTILE, 1, 2)
        typer.echo(HOSTILE + " above the bars", err=True, color=True)
    for stream, times in zip(streams, (4, 3), strict=True):
        said = re.sub(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[12]?[AK])", "", stream.getvalue())  # rich's own: colours, the bars' cursor
        assert clean(said.replace("\r", "")), said
        assert said.count(SHOWN) >= times, said
    assert " above the bars" in streams[1].getvalue()


def test_settings_of_a_model_and_an_attribution(jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    foreign = Path(shutil.copytree(model, tmp_path / "model"))
    config = json.loads((foreign / "config.json").read_text())
    (foreign / "config.json").write_text(json.dumps({**config, "\x1b]0;owned\x07\x9b31m[red]": 1}))
    assert r"\x1b]0;owned\x07\x9b31m[red]: there is no such setting" in jzi("model", "info", foreign).refusal()
    town = tmp_path / "town"
    town.mkdir()
    for path in repository.iterdir():
        (town / path.name).symlink_to(path)
    (town / "ATTRIBUTION").unlink(missing_ok=True)
    (town / "ATTRIBUTION").write_text("(c) \x1b]0;owned\x07\x9b31m\u202e [red]x[/] :key:\nsecond\n")
    for command in (("data", "info", town), ("map", "info", town)):
        ran = jzi(*command)
        assert clean(ran.out) and r"(c) \u001b]0;owned\u0007\u009b31m\u202e [red]x[/] :key:" in ran.out
        ran = jzi(*command, "--json")
        assert clean(ran.out) and ran.json["attribution"] == "(c) \x1b]0;owned\x07\x9b31m\u202e [red]x[/] :key:\nsecond"


def test_a_name_that_is_markup_or_an_escape(jzi: Jzi, tmp_path: Path) -> None:
    folder = tmp_path / "[" / "red]\x1b[2J"
    folder.mkdir(parents=True)
    ran = jzi("data", "info", folder)
    assert r"[/red]\u001b[2J" in ran.refusal()
    ran = jzi("data", "info\x1b[2J")
    assert ran.code == 2 and clean(ran.out + ran.err)


def test_a_warning_is_one_clean_line(jzi: Jzi, monkeypatch: pytest.MonkeyPatch) -> None:
    def warns(path: object) -> None:
        warnings.warn("first\nerror: forged \x1b[2J", stacklevel=1)
        raise GeometryError("x", "it is wrong", "Correct it.")

    monkeypatch.setattr("justzoomin.geometry.find_grid", warns)
    assert "warning: first error: forged \\u001b[2J\n" in jzi("grid", "encode", 1, 2, "--region", "x").err


def test_only_one_place_makes_consoles_and_bars() -> None:
    folder = Path(console.__file__).parent
    makers = {path.name for path in folder.glob("*.py") if re.search(r"\b(Console|Progress|TextColumn)\(", path.read_text())}
    assert makers == {"terminal.py"}
