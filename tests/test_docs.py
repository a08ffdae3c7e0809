"""The pages say what is true: links lead somewhere, settings are listed with their defaults, examples run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from fakes import encoded, grid_of, make_repository, picture, tiny_model
from justzoomin.data import AugmentConfig
from justzoomin.models import DecoderConfig, EncoderConfig, MatcherConfig, ModelConfig, RetrieverConfig
from justzoomin.training import MatchingConfig, TrainConfig, train_config

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), PROJECT / "README.md"])
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
