"""The project's own files that code depends on, found from the code: what keys of caches are made of.

A module depends on what it imports, at its top or inside a function, on what those import, and on the
packages that they lie in. Imports for type checkers do not count, nor do those inside the functions of a
package that is only passed through: who imports `evaluation.arm64.results` calls nothing in
`evaluation/arm64/__init__.py`.

A module also depends on the data that it names. A string that is a path, from its own folder or from the
repository's root, to a file counts as that file; one with a slash to a folder counts as all files in it. So a
module names what it reads by one such string, and what it must not depend on by several.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("runtime", "calibration_data", "encoder", "evaluation", "export", "benchmarks", "tests")
"""Folders of the project that hold code; what others hold is not followed."""

_LIKE_A_PATH = re.compile(r"[\w-]+([./][\w./-]*)")


@dataclass
class _Code:
    """What a file says: modules imported at its top, inside functions, and strings like paths."""

    top: set[str] = field(default_factory=set)
    inner: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)


@functools.cache
def sources_of(*modules: str) -> tuple[Path, ...]:
    """Returns the files that some modules depend on, their own included, sorted.

    Args:
        modules: dotted names, of this project.

    Raises:
        ModuleNotFoundError: there is no such module in this project.
    """
    waiting = [(module, True) for module in modules]
    seen: set[tuple[str, bool]] = set()
    files: set[Path] = set()
    while waiting:
        module, whole = waiting.pop()
        if (module, whole) in seen:
            continue
        seen.add((module, whole))
        path = _path(module)
        if path is None:
            raise ModuleNotFoundError(f"no module {module!r} in this project", name=module)
        code = _read(path)
        files.add(path)
        files.update(_data(path.parent, code.strings))
        waiting += [(name, True) for name in (code.top | code.inner if whole else code.top)]
        waiting += [(package, False) for package in _packages(module)]
    return tuple(sorted(files))


def sources_digest(*modules: str) -> str:
    """Returns one hash over the names and contents of `sources_of` some modules."""
    files = [[path.relative_to(ROOT).as_posix(), content_sha256(path)] for path in sources_of(*modules)]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


@functools.cache
def content_sha256(path: Path) -> str:
    """Returns the hash of a file when first asked for: a process keeps the code that it has loaded."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _path(module: str) -> Path | None:
    """The file of a module of ours; None where it is none."""
    if module.split(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts)) if _path(".".join(parts[:count])))


@functools.cache
def _read(path: Path) -> _Code:
    code = _Code()
    package = ".".join(path.parent.relative_to(ROOT).parts)
    _collect(ast.parse(path.read_bytes()).body, package, code, code.top)
    return code


def _collect(nodes: Iterable[ast.AST], package: str, code: _Code, found: set[str]) -> None:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _path(alias.name):  # without a name of its own, the packages are at hand too
                    found.update((alias.name, *(() if alias.asname else _packages(alias.name))))
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = {f"{base}.{alias.name}" for alias in node.names}
            modules = {name for name in names if _path(name)}
            found |= modules
            if modules != names and _path(base):
                found.add(base)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and _LIKE_A_PATH.fullmatch(node.value):
                code.strings.add(node.value)
        else:
            inside = code.inner if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else found
            typed = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            _collect(node.orelse if typed else ast.iter_child_nodes(node), package, code, inside)


def _data(folder: Path, strings: Iterable[str]) -> Iterator[Path]:
    for text in strings:
        for path in (folder / text, ROOT / text):
            if path.relative_to(ROOT).parts[0] not in PACKAGES:
                continue
            if path.is_file():
                yield path
            elif "/" in text and path.is_dir():
                yield from (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
