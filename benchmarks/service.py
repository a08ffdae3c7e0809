"""The service under load: its throughput, many clients for long, and hostile requests. Figures are in docs/service.md.

    python benchmarks/service.py throughput demo/unseen-town demo/drive demo/photos/unseen-town
    python benchmarks/service.py load demo/unseen-town demo/drive demo/photos/unseen-town --minutes 10
    python benchmarks/service.py hostile demo/unseen-town demo/drive --requests 10000

The towns and photos are those of `jzi demo`. Each command starts a server of its own with the packaged model (or --model).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "server"))

from justzoomin.apps.shared.console import single_model
from justzoomin.apps.shared.demo_names import DEMO
from justzoomin.search import Localizer
from serving import hostile, load, throughput
from serving.server import Server
from serving.truth import answers_of, photos_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("town", type=Path, help="the map")
    common.add_argument("photos", type=Path, nargs="+", help="folders of photos")
    common.add_argument("--model", default=DEMO)
    measured = commands.add_parser("throughput", parents=[common])
    measured.add_argument("--clients", type=int, default=16)
    measured.add_argument("--each", type=int, default=96, help="photos of a round")
    measured.add_argument("--rounds", type=int, default=7)
    long = commands.add_parser("load", parents=[common])
    long.add_argument("--clients", type=int, default=256)
    long.add_argument("--minutes", type=float, default=10.0)
    long.add_argument("--leaving", type=float, default=0.1, help="share of requests whose client leaves")
    bad = commands.add_parser("hostile", parents=[common])
    bad.add_argument("--requests", type=int, default=10_000)
    bad.add_argument("--seed", type=int, default=0)
    bad.add_argument("--at-once", type=int, default=16)
    bad.add_argument(
        "--schemathesis", help="its command `st`, from a venv with `pip install schemathesis`; left out by default"
    )
    bad.add_argument("--examples", type=int, default=100, help="examples of schemathesis for each operation")
    chosen = parser.parse_args()
    photos = photos_of(chosen.photos)
    localizer = Localizer.load(single_model(chosen.model), chosen.town, device="cpu")
    localizer.prepare(lambda done, total: None)
    if chosen.command == "throughput":
        with Server(chosen.town, chosen.model) as server:
            throughput.measure(server, localizer, photos, chosen.clients, chosen.each, chosen.rounds)
    elif chosen.command == "load":
        _load(chosen.town, chosen.model, photos, answers_of(localizer, photos), chosen)
    else:
        _hostile(chosen.town, chosen.model, photos[0], answers_of(localizer, photos[:1])[0], chosen)


def _hostile(town: Path, model: str, photo: Path, right: dict[str, Any], chosen: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="jobs-") as folder,
        Server(town, model, ("--jobs", folder, "--examples", str(photo.parent), *hostile.SETTINGS)) as server,
    ):
        attack = hostile.Attack(server, photo.read_bytes(), right, chosen.seed)
        attack.connections(50)
        attack.mutations(chosen.requests, chosen.at_once)
        if chosen.schemathesis:
            attack.schemathesis(chosen.schemathesis, chosen.examples)
        attack.report()


def _load(town: Path, model: str, photos: list[Path], right: list[dict[str, Any]], chosen: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        start = partial(Server, town, model, ("--jobs", folder, "--answer-s", "280"))
        server = start()
        threads, files = server.threads(), server.open_files()
        asyncio.run(load.Load(server, photos, right, chosen.leaving).run(chosen.clients, 60 * chosen.minutes))
        print(f"threads {threads} before, {server.threads()} after; open files {files} before, {server.open_files()} after")
        print("then kill -9 with a job begun, and a new server:")
        killed = server
        with load.kill_midway(load.Load(server, photos, right, chosen.leaving), start, chosen.clients) as server:
            for each in (killed, server):
                if "Traceback" in each.log():
                    print(each.log()[-3000:])


if __name__ == "__main__":
    main()
