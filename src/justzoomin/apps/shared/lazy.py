"""Commands whose options are read when they are called, so that `jzi --help` imports no settings and answers at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

Function = TypeVar("Function", bound=Callable[..., None])


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Function], Function]:
    """Return a decorator that adds a function to a group as a command; its options are read at the first call.

    Args:
        app: The group.
        name: Name of the command.
        settings: What `typer.Typer.command` takes besides.
    """

    def add(function: Function) -> Function:
        class Lazy(_LazyCommand):
            parts = function, settings

        def listed() -> None:
            """Stand in for the command in the list that its group prints."""

        listed.__doc__ = function.__doc__
        app.command(name, cls=Lazy, **settings)(listed)
        return function

    return add


class _LazyCommand(TyperCommand):
    """A name and a help text; everything else is asked of the whole command, which is made when it is first needed."""

    parts: tuple[Callable[..., None], dict[str, Any]]

    @cached_property
    def whole(self) -> Any:
        """The command with its options."""
        app, (function, settings) = typer.Typer(add_completion=False), self.parts
        app.command(self.name, **settings)(function)
        return typer.main.get_command(app)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the command line with the whole command, which then also runs."""
        return self.whole.make_context(*args, **extra)

    @property
    def params(self) -> Any:
        """The options and arguments of the whole command."""
        return self.whole.params

    @params.setter
    def params(self, value: Any) -> None:
        """Leave out the empty list that the base class sets."""
