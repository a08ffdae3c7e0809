"""`jzi doctor`: what is installed, what is missing, and whether a photo can be located here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from justzoomin.apps.shared.console import DEVICE_HELP, print_json


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Locate a generated photo with the packaged model, which takes "
                                                                "some seconds.")] = True,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
) -> None:
    """Print what is installed, which extras are missing, the devices and the caches, and locate a generated photo.

    Works offline. The exit code is 1 if a needed package is missing or too old, if the packaged model cannot be read, or if the
    photo is not located.
    """
    facts = examine(device if test else None)
    if as_json:
        print_json(facts)
    else:
        for name, line in report(facts):
            typer.echo(f"{name:<12}{line}".rstrip())
    if not facts["ok"]:
        raise typer.Exit(1)


def examine(device: str | None) -> dict[str, Any]:
    """Return everything that the command prints, as plain JSON values.

    Args:
        device: Device for the self-test; None to leave the test out.
    """
    from dataclasses import asdict

    import justzoomin
    from justzoomin.apps.shared import installed
    from justzoomin.apps.shared.self_test import self_test

    needed = installed.dependencies()
    torch = installed.torch_facts()
    tested = None if device is None else self_test(device)
    wrong = [d.words for d in needed if not d.extra and not d.fits]
    model = model_facts()
    return {
        "ok": torch["error"] is None and model["error"] is None and not wrong and (tested is None or tested.passed),
        "version": installed.package_version(),
        "folder": str(Path(justzoomin.__file__).parent),
        "python": installed.python_facts(),
        "torch": torch,
        "packages": {d.name: d.installed for d in needed},
        "wrong": wrong,
        "extras": installed.extras_state(needed),
        "model": model,
        "caches": installed.caches(),
        "self_test": None if tested is None else asdict(tested),
    }


def model_facts() -> dict[str, Any]:
    """Return folder and size of the packaged model, and what is wrong with it."""
    from justzoomin.apps.shared.demo_names import packaged_model
    from justzoomin.apps.shared.installed import folder_bytes

    folder = packaged_model()
    missing = [name for name in ("config.json", "model.safetensors", "region.yaml", "calibration.json")
               if not (folder / name).is_file()]
    return {"folder": str(folder), "bytes": folder_bytes(folder)[0],
            "error": f"{', '.join(missing)} missing; install the package again" if missing else None}


def report(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is printed: a name, empty on lines that go on, and a text."""
    python, torch, model, tested = (facts[name] for name in ("python", "torch", "model", "self_test"))
    lines = [("justzoomin", f"{facts['version'] or 'not installed'}, in {facts['folder']}"),
             ("python", f"{python['version']}, {python['system']} {python['machine']}, {python['executable']}"),
             ("torch", torch["version"] or torch["error"])]
    lines += _named("devices", [found["words"] for found in torch["devices"]])
    needed = "all that are needed are installed" if facts["version"] else "unknown, because justzoomin itself is not installed"
    lines += _named("packages", facts["wrong"] or [needed])
    lines += _named("extras", [_extra(name, state) for name, state in facts["extras"].items()])
    lines.append(("model", model["error"] or f"{_size(model['bytes'])}, in {model['folder']}"))
    lines += _named("caches", [_cache(cache) for cache in facts["caches"]])
    if tested is None:
        return [*lines, ("self-test", "left out")]
    result = "passed" if tested["passed"] else "FAILED"
    return [*lines, ("self-test", f"{result} in {tested['seconds']:.1f} s: {tested['words']}")]


def _named(name: str, texts: list[str]) -> list[tuple[str, str]]:
    return [("" if number else name, text) for number, text in enumerate(texts)]


def _extra(name: str, state: dict[str, Any]) -> str:
    if state["installed"]:
        return f"{name:<9}installed  {state['for']}"
    return f"{name:<9}missing    {state['for']}; {state['install']}"


def _cache(cache: dict[str, Any]) -> str:
    if not cache["exists"]:
        return f"{cache['what']}: none yet, would be in {cache['folder']}"
    size = f"{'' if cache['counted_all'] else 'more than '}{_size(cache['bytes'])}"
    parts = ", ".join(f"{name} {_size(number)}" for name, number in cache["parts"].items())
    return f"{cache['what']}: {size}, in {cache['folder']}" + (f" ({parts})" if parts else "")


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
