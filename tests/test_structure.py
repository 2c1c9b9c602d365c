"""The package's structure: few modules beside the packages, short ones, no circles."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src/tracekd"
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(name: str) -> str:
    """Return the part of the package that a dotted name belongs to."""
    return name.split(".")[1] if name.count(".") else name


def imported(path: Path) -> set[str]:
    """Return the rooms that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "tracekd":
                names = [f"tracekd.{alias.name}" for alias in node.names]
            found |= {room(name) for name in names if name.startswith("tracekd.")}
    return found


def test_packages_import_each_other_without_circles() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        graph.setdefault(name, set()).update(imported(path) - {name})
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_few_modules_are_beside_the_packages() -> None:
    beside = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    assert len(beside) <= 8, beside


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path.name: lines for path, lines in lengths.items() if lines > 300} == {}


def test_public_names_are_unique() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(path.name)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
