# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that every file of the engine keeps: no Ansible, Python 3.9, one license, one version."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
ENGINE = sorted((ROOT / "plugins/module_utils").glob("*.py"))
# These are the shell's part: they are for modules alone, and say so.
OF_THE_SHELL = ("argspec.py", "wiring.py")
OPTIONAL = {"isal", "pathspec", "boto3", "botocore", "urllib3"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_engine_imports_nothing_but_the_standard_library_and_itself(path: Path) -> None:
    found = {name.split(".")[0] for name in imported(ast.parse(path.read_bytes()))}
    foreign = found - set(sys.stdlib_module_names) - OPTIONAL
    assert not foreign or path.name in OF_THE_SHELL


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_engine_is_in_memory_before_it_begins(path: Path) -> None:
    """A restore may exchange the very tree that it was imported from: nothing of it is imported later."""
    tree = ast.parse(path.read_bytes())
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    late = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    assert not [node.lineno for node in late if node.level > 0 or str(node.module).startswith("ansible_collections")]


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_engine_is_python_3_9(path: Path) -> None:
    source = path.read_text("utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    assert "from __future__ import annotations\n" in source
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dataclass":
            assert not {keyword.arg for keyword in node.keywords} & {"slots", "kw_only"}, node.lineno
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "zip":
            assert "strict" not in {keyword.arg for keyword in node.keywords}, node.lineno
    for line in evaluated_unions(tree):
        pytest.fail(f"{path.name}:{line} evaluates X | Y, which Python 3.9 has no types for")


def evaluated_unions(tree: ast.Module) -> Iterator[int]:
    """Lines of type aliases such as ``A = int | None``; annotations are not evaluated."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for part in ast.walk(node.value):
                if isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitOr):
                    names = {getattr(side, "id", None) for side in (part.left, part.right)}
                    if names & {"str", "int", "bytes", "float", "bool", "list", "dict", "tuple"}:
                        yield part.lineno


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_every_file_has_the_license_and_a_docstring(path: Path) -> None:
    source = path.read_text("utf-8")
    assert source.startswith("# Copyright: (c) 2026, cora.backup contributors\n# GNU General Public License v3.0+")
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in source.splitlines()[2]
    assert ast.get_docstring(ast.parse(source))


def test_version_is_that_of_the_collection() -> None:
    text = (ROOT / "galaxy.yml").read_text()
    assert re.findall(r"^version: *[\"']?([^\"'\s]+)", text, flags=re.MULTILINE) == [VERSION]
