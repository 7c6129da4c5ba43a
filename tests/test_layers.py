"""The import direction of the package, and what must not be imported for `--help`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import drumsep

PACKAGE = Path(drumsep.__file__).parent

# A module may import from its own row (in one package) and from rows above it, never from below.
LAYERS = (
    {"errors", "drums", "hashing", "memory"},
    {"results"},
    {"dsp", "devices", "resample", "outputs", "wav", "archives", "stored_networks"},
    {"audio", "tempo", "recording", "judgement", "naming", "stem_files", "weights", "pickles"},
    {"midi", "sfz", "inputs", "masking"},
    {"notes", "kit", "separator", "sampled_kits"},
    {"extraction"},
    {"adaptation", "onsets", "transcriber"},
    {"second_look"},
    {"nmf", "template", "idm", "larsnet"},
    {"importing", "fetching"},
    {"loading"},
    {"tasks", "evaluate", "train"},
    {"batch", "benchmark"},
    {"cli"},
)
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "misc"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """First part of a module's dotted name inside the package: its file or its sub-package."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "drumsep":
                rooms |= {name.name for name in node.names}
            elif node.module.startswith("drumsep."):
                rooms.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {n.name.split(".")[1] for n in node.names if n.name.startswith("drumsep.")}
    return rooms - {"__version__", "load"}


def layer(name: str) -> int:
    return next(index for index, row in enumerate(LAYERS) if name in row)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_up_the_table(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        pytest.skip("the front door may look everywhere")
    below = {name for name in imported_rooms(path) if name != here and layer(name) > layer(here)}
    assert not below, f"{here} imports from layers that stand on it: {below}"


def test_every_module_has_a_layer_and_a_name_that_says_something() -> None:
    rooms = {room(path) for path in modules()} - {"__init__", "__main__"}
    assert rooms <= set().union(*LAYERS)
    assert not FORBIDDEN_NAMES & {path.stem for path in modules()}


def test_the_two_published_models_do_not_know_each_other() -> None:
    for path in modules():
        other = {"idm": "larsnet", "larsnet": "idm"}.get(room(path))
        assert other not in imported_rooms(path)


def test_networks_import_nothing_but_maths() -> None:
    for path in PACKAGE.rglob("network.py"):
        assert not imported_rooms(path) & {"audio", "weights", "cli", "recording", "separator"}
        text = path.read_text(encoding="utf-8")
        assert "import typer" not in text and "import rich" not in text


@pytest.mark.parametrize("module", ["drumsep", "drumsep.cli.app"])
def test_nothing_heavy_is_imported_for_help(module: str) -> None:
    heavy = "{'torch', 'numpy', 'librosa', 'soundfile', 'soxr', 'scipy', 'rich', 'numba'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("model", ["drumsep", "idm", "toy"])
def test_no_compiler_is_imported_to_load_a_model(model: str, toy_installed: str) -> None:
    heavy = "{'sympy', 'torch._dynamo', 'numba', 'scipy.signal'}"
    code = (
        f"import drumsep, sys; drumsep.load('{model}'); print(sorted({heavy} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
