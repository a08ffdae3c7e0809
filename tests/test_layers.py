"""The house is built as docs/architecture.md draws it: imports point down only."""

import ast
import importlib
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "justzoomin"

# Each room may import what comes before it; the three neighbours in brackets not each other.
ORDER = ["errors", "spelling", "files", "untrusted", "parallel", "store", "filekind", "geometry", "posterior", "archives",
         "tiles", "maps", "imagery", "posterior.rasters", "data", "checks", "hub", "photos.readers", "photos", "city", "models",
         "packs", "search", "drives", "service", "scoring", "cluster", ("training", "evaluation", "figures"), "publishing",
         "apps"]
RANK = {room: level for level, rooms in enumerate(ORDER) for room in (rooms if isinstance(rooms, tuple) else (rooms,))}
PRINTING = {"apps"}


def room_of(path: Path) -> str:
    return room_named(".".join(path.relative_to(SOURCE).with_suffix("").parts))


def room_named(module: str) -> str:
    """The room of a module of the package: `photos.readers` for `photos.readers.gpx`, `maps` for `maps.render`."""
    parts = module.split(".")
    inner = ".".join(parts[:2])
    return inner if inner in RANK else parts[0]


def imported_rooms(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            if node.module == "justzoomin":
                names.update(f"justzoomin.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {room_named(n.removeprefix("justzoomin.")) for n in names if n.startswith("justzoomin.")}


def sources() -> list[Path]:
    files = [p for p in sorted(SOURCE.rglob("*.py")) if p.parent != SOURCE or p.stem not in {"__init__", "__main__"}]
    assert len(files) > 40, "the walk found too few files to mean anything"
    return files


def test_imports_point_down() -> None:
    wrong = []
    for path in sources():
        room = room_of(path)
        assert room in RANK, f"{path}: the room {room} has no place in the house"
        for other in imported_rooms(ast.parse(path.read_text(encoding="utf-8"))):
            if other != room and RANK[other] >= RANK[room]:
                wrong.append(f"{path.relative_to(SOURCE)} imports {other}")
    assert not wrong, wrong


def test_only_apps_print() -> None:
    wrong = []
    for path in sources():
        if room_of(path) in PRINTING:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert not wrong, wrong


def test_no_room_imports_from_the_inside_of_another() -> None:
    """What a room offers is in its __init__: other rooms import from there, the command line included."""
    wrong = []
    for path in sources():
        room = room_of(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("justzoomin."):
                module = node.module.removeprefix("justzoomin.")
                if room_named(module) not in {room, module}:
                    wrong.append(f"{path.relative_to(SOURCE)} imports {node.module}")
    assert not wrong, wrong


def module_of(path: Path) -> str:
    """Name of a module inside the package: `maps.render`; a room's face has the name of the room."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


FACES = sorted(SOURCE.rglob("__init__.pyi"))


def offered(face: Path) -> dict[str, str]:
    """What the face of a room offers: every name and the file that it comes from."""
    lines = ast.parse(face.read_text(encoding="utf-8")).body
    assert all(isinstance(line, ast.ImportFrom) and line.level == 1 for line in lines), face
    return {alias.asname or alias.name: line.module or "" for line in lines if isinstance(line, ast.ImportFrom)
            for alias in line.names}


def origins() -> dict[str, str]:
    """Return the module that each name of a room's face comes from, by `room.name`."""
    return {f"{module_of(face)}.{name}": f"{module_of(face)}.{file}" for face in FACES for name, file in offered(face).items()}


def imported_modules(tree: ast.AST, modules: set[str], faces: dict[str, str]) -> set[str]:
    """All modules of the package that a module imports anywhere, in functions and for types too, through the faces of rooms."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "justzoomin":
            base = node.module.removeprefix("justzoomin").removeprefix(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".removeprefix(".")
                found.add(faces.get(name, name if name in modules else base))
        elif isinstance(node, ast.Import):
            found.update(alias.name.removeprefix("justzoomin.") for alias in node.names)
    return found & modules


def test_no_circles() -> None:
    """No module imports itself through others, not even inside a function: each can be read after those that it imports."""
    paths = {module_of(path): path for path in sources()}
    faces = origins()
    graph = {name: imported_modules(ast.parse(path.read_text(encoding="utf-8")), set(paths), faces) - {name}
             for name, path in paths.items()}
    assert graph["models.map_model"] >= {"models.config", "models.checkpoints"} and "search.fix" in graph["search.localizer"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"these import each other in a circle: {' <- '.join(error.args[1])}") from None


def test_only_files_py_writes() -> None:
    """So no link leads a writer out of its folder, and every error of the disk has words."""
    writing = re.compile(r"\.write_text\(|[a-z]\.open\(\"[wxa]|\.open\(\"r\+|\bopen\(.*, ?\"[wxa]b?\"|mkstemp|mkdtemp|O_CREAT"
                         r"|O_RDWR|\"w\+\"|copyfile\(|\.touch\(|os\.truncate|os\.pwrite")
    wrong = [f"{path.relative_to(SOURCE)}:{number}: {line.strip()}" for path in sources() if path.name != "files.py"
             for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if writing.search(line)]
    assert not wrong, wrong


@pytest.mark.parametrize("face", FACES, ids=lambda face: room_of(face) if face.parent != SOURCE else "justzoomin")
def test_a_face_gives_every_name_it_offers(face: Path) -> None:
    """A name that is also a file's would be the file once anything has imported that, so no face offers one."""
    names = offered(face)
    beside = {path.stem for path in face.parent.glob("*.py")} | {path.name for path in face.parent.iterdir() if path.is_dir()}
    assert not names.keys() & beside
    room = importlib.import_module(".".join(("justzoomin", *face.parent.relative_to(SOURCE).parts)))
    assert set(dir(room)) >= names.keys()
    for name, file in names.items():
        origin = importlib.import_module(f"{room.__name__}.{file}")
        assert getattr(room, name) is getattr(origin, name), f"{room.__name__}.{name}"
