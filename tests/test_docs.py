"""The pages say what is true: links lead somewhere, settings are listed with their defaults, examples run."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from fakes import encoded, grid_of, make_repository, picture, tiny_model
from justzoomin.apps.main import app
from justzoomin.checks import verify_repository
from justzoomin.data import AugmentConfig
from justzoomin.models import DecoderConfig, EncoderConfig, MatcherConfig, ModelConfig, RetrieverConfig
from justzoomin.training import MatchingConfig, TrainConfig, train_config
from pages import PAGES, PROJECT, Command, commands

DOCS = PROJECT / "docs"
TRUSTED = {"tar", "tensorboard", "make", ".", "export", "gdalinfo", "gdal_translate"}
"""Commands of others, whose words are not checked."""
GROUPS = {"augment", "matching", "model", "encoder", "decoder", "retriever"}


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            wrong.append(target)
    assert not wrong, f"{page.name}: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_named_on_the_pages_exist(page: Path) -> None:
    """Files of the project: under `src/justzoomin` they are named from their room on (`maps/render.py`)."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/.])((?:[a-z_]+/)+\w+\.py)\b", text))
    named |= {name.rstrip("/.")
              for name in re.findall(r"(?<![\w/.])((?:src|tests|benchmarks|docs)/[\w./-]+)(?![\w./*-])", text)}
    wrong = [name for name in sorted(named) if not re.search(r"[A-Z]{4}", name.replace("README", ""))  # a placeholder
             and not any((root / name).exists() for root in (PROJECT, PROJECT / "src" / "justzoomin", DOCS))]
    assert not wrong, f"{page.name}: {wrong}"


def text_of(value: Any) -> str:
    """A value as the tables write it: plain YAML on one line."""
    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...").strip()


def rows(page: str) -> list[str]:
    return [line for line in (DOCS / page).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("settings", [TrainConfig, AugmentConfig, ModelConfig, EncoderConfig, DecoderConfig,
                                      RetrieverConfig, MatcherConfig, MatchingConfig],
                         ids=lambda s: s.__name__)
def test_training_page_lists_every_setting_with_its_default(settings: type[BaseModel]) -> None:
    there = rows("training.md")
    for name, field in settings.model_fields.items():
        start = f"| `{name}` | " if name in GROUPS else f"| `{name}` | `{text_of(field.default)}` |"
        assert any(row.startswith(start) for row in there), f"docs/training.md needs a row: {start} ..."


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def test_training_page_lists_what_the_small_preset_changes() -> None:
    paper, small = (dict(flat(train_config(name).model_dump(mode="json"))) for name in ("paper", "small"))
    wanted = [f"| `{key}` | `{text_of(paper.get(key))}` | `{text_of(value)}` |" for key, value in small.items()
              if paper.get(key) != value]
    there = [row for row in rows("training.md") if re.match(r"\| `[^`]+` \| `[^`]+` \| `[^`]+` \|$", row)]
    assert sorted(there) == sorted(wanted), "docs/training.md, Presets, needs these rows:\n" + "\n".join(wanted)


@pytest.mark.parametrize("page", ["python.md", "extending.md"])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page's examples, in order, in a folder with a small town, a fresh model and a photo."""
    repository = make_repository(tmp_path / "town", pixels=32, train=4, val=6)
    tiny_model().save_pretrained(tmp_path / "model", grid_of(repository))
    (tmp_path / "photo.jpg").write_bytes(encoded(picture(160, 90), quality=90))
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "example"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 4
    for block in blocks:
        line = text[:block.start(1)].count("\n")
        code = compile("\n" * line + block[1], str(DOCS / page), "exec")  # tracebacks name the page's own lines
        exec(code, names)
    assert verify_repository("town").ok  # with the splits that the page adds


def parse(words: list[str]) -> None:
    """Let the command line read words as if to run them: unknown commands, options and missing values are errors."""
    command, context = typer.main.get_command(app), None
    while words and words[0] in getattr(command, "commands", {}):
        context = typer.Context(command, parent=context, info_name=words[0])
        command, words = command.commands[words[0]], words[1:]
    assert words == ["--help"] or not hasattr(command, "commands"), f"there is no command {words[:1]}"
    if words != ["--help"]:
        command.make_context("jzi", list(words), parent=context)


def check_script(words: list[str]) -> None:
    """The file of a Python command is there and names the options."""
    if words[0] == "-m":
        assert words[1] == "pytest", words
        assert all((PROJECT / word.partition("::")[0]).exists() for word in words[2:])
    elif words[0] != "-":
        assert (PROJECT / words[0]).is_file(), words
        source = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / words[0]).parent.glob("*.py"))
        assert all(f'"{word}"' in source for word in words if word.startswith("--")), words


def check_install(words: list[str]) -> None:
    """The extras of an installation are the project's."""
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    asked = re.findall(r"\[([\w,]+)\]", " ".join(words))
    assert asked and all(extra in extras for group in asked for extra in group.split(",")), words


def check_address(words: list[str]) -> None:
    """A request is one to the service; tests/server/test_service_page.py sends it."""
    assert any(word.startswith("localhost:8765/") for word in words), words


@pytest.mark.parametrize("command", [command for page in PAGES for command in commands(page)], ids=lambda c: c.where)
def test_commands_of_the_pages_are_those_of_the_program(command: Command) -> None:
    words = command.words
    if words[0] in TRUSTED:
        return
    if "justzoomin.apps.main" in words:
        words = ["jzi", *words[words.index("justzoomin.apps.main") + 1:]]
    checks = {"jzi": parse, "python": check_script, "pip": check_install, "curl": check_address}
    assert words[0] in checks, f"{command.where}: {command.text}"
    checks[words[0]](words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_options_named_in_the_text_are_those_of_the_program(page: Path) -> None:
    """Commands in the text may be cut short, so only their names and options are looked at."""
    wrong = []
    for text in re.findall(r"`jzi ([^`]+)`", prose(page.read_text(encoding="utf-8"))):
        command, words = typer.main.get_command(app), text.split()
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        named = {word.split("=")[0].rstrip(",.;") for word in words if re.match(r"--?[a-z]", word)}
        unknown = words[:1] if hasattr(command, "commands") and re.match("[a-z]", "".join(words[:1])) else []
        if unknown or named - options:
            wrong.append(f"jzi {text}")
    assert not wrong, wrong


def test_presets_are_those_of_the_program_on_the_page_and_in_the_help() -> None:
    from justzoomin.apps.train import train
    from justzoomin.training.config import _PRESETS

    text = (DOCS / "training.md").read_text(encoding="utf-8").partition("\n## Presets\n")[2].partition("\n\n`paper`")[0]
    page = [name for row in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)]
    listed = str(train.__doc__).partition("\b\n")[2].partition("\n\n")[0]
    spoken = [name for row in re.findall(r"^    (\w[\w, -]*?)(?:  |$)", listed, flags=re.MULTILINE) for name in row.split(", ")]
    assert page == spoken == [name for name in _PRESETS if name in page] and len(page) == len(_PRESETS)
