"""Options from settings: default, bound and help text of the field, what the user gave, and errors that name the option."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typer.testing import CliRunner

from justzoomin.apps.shared.lazy import command
from justzoomin.apps.shared.settings_options import Change, from_settings
from justzoomin.errors import ConfigError


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Literal["row", "column"] = Field("row", description="Direction of the beds.")
    seed: int = Field(0, ge=0, description="Seed of the flowers.")


class Garden(BaseModel):
    model_config = ConfigDict(frozen=True)

    side_m: float = Field(5.0, gt=0, le=9, description="Side in metres.")
    beds: tuple[int, int] | None = Field(None, description="Beds per side: 2,3.")
    fence: bool = Field(False, description="Put a fence around it.")
    workers: int = Field(default_factory=lambda: 4, ge=1, description="Gardeners.")
    inner: Inner = Inner()


def _pair(text: str) -> list[str]:
    return text.split(",")


made: list[Garden] = []
app = typer.Typer()


@app.callback()
def _group() -> None:
    pass


@command(app, "plant")
@from_settings(f"{__name__}:Garden",
               {None: "side_m beds fence workers name", "Beds": "inner.kind inner.seed"},
               {"beds": Change(parse=_pair), "inner.kind": Change("--along"), "inner.seed": Change(usage=True)})
def plant(garden: Garden, name: Annotated[str, typer.Option(help="Name.")] = "eden") -> None:
    """Plant a garden."""
    made.append(garden)


def run(*words: str) -> Garden:
    result = CliRunner().invoke(app, ["plant", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return made.pop()


def test_what_was_given_is_set_and_the_rest_are_the_defaults_of_the_class() -> None:
    assert run() == Garden() and not run().model_fields_set
    garden = run("--side-m", "5.0", "--beds", "2,3", "--fence", "--along", "column", "--seed", "7", "--name", "x")
    assert garden == Garden(beds=(2, 3), fence=True, inner=Inner(kind="column", seed=7))
    assert garden.model_fields_set == {"side_m", "beds", "fence", "inner"}
    assert garden.inner.model_fields_set == {"kind", "seed"}


def test_help_states_the_default_and_description_of_the_field() -> None:
    text = " ".join(CliRunner().invoke(app, ["plant", "--help"]).output.split())
    for words in ("Side in metres. [default: 5.0]", "Direction of the beds. [default: row]", "Plant a garden.", "─ Beds ─",
                  "Gardeners. │", "Beds per side: 2,3. │"):
        assert words in text, words
    names = [parameter.opts[0] for parameter in typer.main.get_command(app).commands["plant"].params]  # type: ignore[attr-defined]
    assert names == ["--side-m", "--beds", "--fence", "--workers", "--name", "--along", "--seed"]


@pytest.mark.parametrize(("words", "option", "what"), [
    (("--side-m", "10"), "--side-m", "input should be less than or equal to 9 (given: 10.0)"),
    (("--along", "round"), "--along", "input should be 'row' or 'column' (given: 'round')"),
    (("--beds", "1,x"), "--beds", "input should be a valid integer"),
])
def test_a_wrong_value_is_an_error_that_names_the_option(words: tuple[str, ...], option: str, what: str) -> None:
    with pytest.raises(ConfigError) as error:
        run(*words)
    assert error.value.where == option and error.value.what.startswith(what)
    assert error.value.remedy.endswith("plant --help`.") and isinstance(error.value.__cause__, ValidationError)


def test_a_bound_that_the_parser_checks_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["plant", "--seed", "-1"]).exit_code == 2
