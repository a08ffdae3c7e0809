"""`jzi pack`: all that a localizer of one place needs, in one folder: made, checked, published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.lazy import command

if TYPE_CHECKING:
    from justzoomin.packs import Pack, Rights

app = typer.Typer(no_args_is_help=True, help="Packs: map, index, model and calibration of one place, bound by hashes.")


@command(app, "make")
def make(
    out: Annotated[Path, typer.Argument(help="Folder of the pack; it must not exist.")], *,
    model: Annotated[str, typer.Option(help="Model folder, or owner/name on the hub.")],
    map_root: Annotated[Path, typer.Option("--map", help="Folder of a map or dataset (its photos stay out), or tile package.")],
    index: Annotated[Path | None, typer.Option(help="Folder of the map's index under this model, made by jzi index.")] = None,
    title: Annotated[str, typer.Option(help="Name of the place. Default: the folder's name.")] = "",
    map_licence: Annotated[str, typer.Option("--map-license", help="Licence of the map. Default: what the README of the map's "
                                                                   "folder says.")] = "",
    model_licence: Annotated[str, typer.Option("--model-license", help="Licence of the weights. Default: what the model's card "
                                                                       "says.")] = "",
    link: Annotated[bool, typer.Option("--link", help="Give the files second names instead of copying them, where possible; "
                                                      "the index is always copied.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what the pack would hold.")] = False,
) -> None:
    """Make a pack from a model, a map and an index, after a check that they belong together."""
    from justzoomin.apps.shared.console import single_model, stage_bars
    from justzoomin.apps.shared.publish_items import print_size
    from justzoomin.packs import make_pack, open_pack, plan_pack
    from justzoomin.publishing import pack_card, stated_pack_rights
    from justzoomin.search import Localizer

    name = single_model(model)
    rights = stated_pack_rights(name, map_root, map_licence, model_licence)
    plan = plan_pack(name, map_root, index, title or out.name, rights)
    print_size(plan.files)
    _print_rights(rights)
    if dry_run:
        return
    with stage_bars() as advance:
        made = make_pack(plan, out, link=link, card=pack_card(plan), progress=advance,
                         check=lambda work: _fits(Localizer.load_pack(open_pack(work), device="cpu")))
    typer.echo(f"wrote {made}")


@command(app, "check")
def check(
    pack: Annotated[str, typer.Argument(help="Folder of the pack, or owner/name on the hub.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
) -> None:
    """Check every file of a pack by size and hash, then that model, map and index belong together."""
    from justzoomin.packs import open_pack
    from justzoomin.search import Localizer

    found = open_pack(pack, revision)
    _print(found)
    _fits(Localizer.load_pack(found, device="cpu"))
    typer.echo("model, map and index belong together")


@command(app, "push")
def push(
    pack: Annotated[Path, typer.Argument(help="Folder of the pack.")],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub; it is made if missing.")], *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    decided: Annotated[bool, typer.Option("--decided", help="A person has decided what only a person can decide.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be uploaded and what to settle.")] = False,
) -> None:
    """Upload a pack to the hub. Refused while something is unsettled."""
    from justzoomin.apps.shared.publish_items import print_items
    from justzoomin.packs import open_pack
    from justzoomin.publishing import pack_items, push_pack

    found = open_pack(pack)
    print_items(pack_items(found))
    _print(found)
    if not dry_run:
        typer.echo(f"commit {push_pack(found, repo_id, private=private, decided=decided).commit}: {repo_id}")


def _print(pack: Pack) -> None:
    from justzoomin.apps.shared.publish_items import megabytes

    typer.echo(f"{pack.title}: {pack.files:,} files, {megabytes(pack.bytes)}, all as listed"
               f"{'' if pack.commit is None else f'; commit {pack.commit}'}")
    _print_rights(pack.rights)


def _print_rights(rights: dict[str, Rights]) -> None:
    for part, held in rights.items():
        typer.echo(f"{part}: {held.licence}{f'; {held.attribution}' if held.attribution else ''}")


def _fits(localizer: object) -> None:
    """Do nothing: opening it was the check."""
