"""Options of a command from the fields of settings classes, the only place that states defaults, bounds and help texts."""

from __future__ import annotations

import copy
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import typer

from justzoomin.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel


class Change(NamedTuple):
    """How an option differs from its field.

    Attributes:
        flag: Name of the option. Default: the name of the field.
        parse: Function that makes the field's value from the option's value, if the option is given.
        kind: Type of an option with `parse`.
        usage: Whether a value below the field's minimum is a usage error (exit code 2) instead of a `ConfigError`.
    """

    flag: str | None = None
    parse: Callable[[Any], Any] | None = None
    kind: type = str
    usage: bool = False


def from_settings(classes: str, panels: Mapping[str | None, str], changes: Mapping[str, Change] | None = None
                  ) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator for a command with parameters that are settings: their fields become options.

    The settings are imported when the options are first needed. The command gets checked settings; their `model_fields_set`
    holds what the user gave.

    Args:
        classes: Where the settings classes are, such as `justzoomin.city:CityConfig`; annotations of parameters name them.
        panels: Title of each panel of the help (None for the main one) to the options in it, in order: fields, such as `seed`
            or `split.seed`, and parameters of the command. Parameters that no panel names come first.
        changes: Name of a field to how its option differs from it.
    """
    return lambda command: _WithSettings(command, classes.split(), panels, changes or {})


class _WithSettings:
    """A command whose signature has an option for each field of its settings."""

    def __init__(self, command: Callable[..., None], classes: list[str], panels: Mapping[str | None, str],
                 changes: Mapping[str, Change]) -> None:
        self.__name__, self.__doc__ = command.__name__, command.__doc__
        self._command, self._classes, self._panels, self._changes = command, classes, panels, changes
        self._options: dict[str, tuple[str, tuple[str, ...], Change]] = {}
        """Name of an option in the signature to parameter of the command, path of the field and change."""

    def __call__(self, ctx: typer.Context, **values: Any) -> None:
        given: dict[str, dict[str, Any]] = {parameter: {} for parameter in self._models}
        for name, (parameter, path, change) in self._options.items():
            value, source, fields = values.pop(name), ctx.get_parameter_source(name), given[parameter]
            if source is not None and source.name != "DEFAULT":
                for part in path[:-1]:
                    fields = fields.setdefault(part, {})
                fields[path[-1]] = change.parse(value) if change.parse else value
        self._command(**values, **{name: self._checked(name, fields, ctx) for name, fields in given.items()})

    def _checked(self, parameter: str, values: dict[str, Any], ctx: typer.Context) -> BaseModel:
        from pydantic import ValidationError

        try:
            return self._models[parameter].model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            wrong = next((f"--{name.replace('_', '-')}" for name, option in self._options.items()
                          if option[:2] == (parameter, first["loc"][:len(option[1])])), ctx.command_path)
            message = first["msg"].removeprefix("Value error, ")
            raise ConfigError(wrong, f"{message[:1].lower()}{message[1:]} (given: {first['input']!r})",
                              f"See `{ctx.command_path} --help`.") from error

    @cached_property
    def _models(self) -> dict[str, type[BaseModel]]:
        found = {model.__name__: model for model in map(pkgutil.resolve_name, self._classes)}
        return {name: found[kind] for name, kind in self._command.__annotations__.items() if kind in found}

    @cached_property
    def __signature__(self) -> inspect.Signature:
        hints = get_type_hints(self._command, localns={m.__name__: m for m in self._models.values()}, include_extras=True)
        own = {name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY) for name, parameter
               in inspect.signature(self._command).parameters.items() if name not in self._models}
        shown = []
        for panel, names in self._panels.items():
            for name in names.split():
                parameter = own.pop(name) if name in own else self._parameter(name)
                kind, info = get_args(parameter.annotation)
                info = copy.copy(info)
                info.rich_help_panel = panel
                shown.append(parameter.replace(annotation=Annotated[kind, info]))
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        return inspect.Signature([context, *own.values(), *shown])

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        return {name: parameter.annotation for name, parameter in self.__signature__.parameters.items()}

    def _parameter(self, field_name: str) -> inspect.Parameter:
        """Return the option of a field for the signature."""
        path, change = tuple(field_name.split(".")), self._changes.get(field_name, Change())
        parameter, field = next((p, found) for p, model in self._models.items() if (found := _field(model, path)) is not None)
        flag = change.flag or "--" + path[-1].replace("_", "-")
        name = flag.removeprefix("--").replace("-", "_")
        self._options[name] = parameter, path, change
        kind, default = _plain(field.annotation), None if field.default_factory else field.default
        if change.parse is not None:
            kind, default = change.kind, False if change.kind is bool else None
        kind = kind if default is not None else kind | None
        least = next((bound.ge for bound in field.metadata if hasattr(bound, "ge")), None) if change.usage else None
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default,
                                 annotation=Annotated[kind, typer.Option(flag, help=field.description, min=least)])


def _field(model: Any, path: tuple[str, ...]) -> Any:
    """Return the field at a path in a settings class, or None."""
    for name in path[:-1]:
        model = model.model_fields[name].annotation if model and name in model.model_fields else None
    return model and model.model_fields.get(path[-1])


def _plain(annotation: Any) -> Any:
    """Return the type that the command line parses: without None and bounds; text for choices."""
    if get_origin(annotation) is Literal:
        return str
    inner = [part for part in get_args(annotation) if part is not type(None)]
    return annotation if isinstance(annotation, type) or not inner else _plain(inner[0])
