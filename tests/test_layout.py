"""The workspace: every package is complete, independently versioned, and imports no other paper's plugin."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(
    path.parent for pattern in ("core", "plugins/*/*", "contrib/*") for path in ROOT.glob(f"{pattern}/pyproject.toml")
)
IDS = [str(path.relative_to(ROOT)) for path in PACKAGES]


def project(path):
    return tomllib.loads((path / "pyproject.toml").read_text())["project"]


def is_method(path):
    """A paper's plugin: neither a family's problems nor a backend."""
    return path.parent.parent.name == "plugins" and path.name != "problems" and path.parent.name != "backends"


METHODS = [path for path in PACKAGES if is_method(path)]


@pytest.mark.parametrize("path", PACKAGES, ids=IDS)
def test_every_package_has_its_own_version_and_readme(path):
    declared = project(path)
    assert re.fullmatch(r"\d+\.\d+\.\d+", declared["version"])
    assert (path / declared["readme"]).exists()
    assert any((path / "src").glob("*/py.typed"))


@pytest.mark.parametrize("path", PACKAGES, ids=IDS)
def test_every_import_is_declared(path):
    """What the source imports is the package itself, the standard library, or a declared dependency (or extra)."""
    import sys

    declared = project(path)
    extras = [item for group in declared.get("optional-dependencies", {}).values() for item in group]
    wanted = {re.split(r"[^A-Za-z0-9_.-]", item)[0].lower() for item in [*declared.get("dependencies", []), *extras]}
    names = {
        "scikit-learn": "sklearn",
        "scikit-image": "skimage",
        "pot": "ot",
        "causal-learn": "causallearn",
        "pillow": "PIL",
    }
    allowed = {names.get(item, item.replace("-", "_")) for item in wanted}
    own = {module.name for module in (path / "src").iterdir()}
    for file in (path / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for module in modules:
                top = module.partition(".")[0]
                assert top in allowed | own | sys.stdlib_module_names, f"{file.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("path", METHODS, ids=[path.name for path in METHODS])
def test_no_method_depends_on_another(path):
    others = {project(other)["name"] for other in METHODS if other != path}
    wanted = {re.split(r"[^A-Za-z0-9_.-]", item)[0] for item in project(path)["dependencies"]}
    assert not wanted & others


@pytest.mark.parametrize("path", METHODS, ids=[path.name for path in METHODS])
def test_every_method_has_a_benchmark_and_tests(path):
    assert list((path / "benchmarks").glob("*.py"))
    assert list((path / "tests").glob("test_*.py"))
