"""Who may import whom, kept by walking the sources (the table is in CONTRIBUTING.md)."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = frozenset({"context_gateway", "context_knowledge", "context_embedding", "context_retrieval"})
OURS = SERVICES | {"context", "context_common", "context_client", "context_local", "context_ops"}
MAY_IMPORT = {
    "context_common": frozenset[str](),
    "context_client": frozenset[str](),
    "context_local": frozenset({"context_common"}),
    "context_ops": frozenset({"context", "context_common", "context_client", "context_local"}),
    **dict.fromkeys(SERVICES, frozenset({"context", "context_common"})),
}
DRIVERS = ("psycopg", "psycopg_pool", "pgvector")
# What opens, connects, reads the environment or builds an app: never while a module is imported.
MAKERS = frozenset(
    {"FastAPI", "AsyncConnectionPool", "ConnectionPool", "open_pool", "insecure_channel", "secure_channel", "connect"}
    | {"InferenceSession", "create_app", "from_env", "configure", "getenv", "start_http_server", "serve", "run"}
)


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path
    text: str

    @property
    def package(self) -> str:
        """The top-level package it stands in."""
        return next(part for part in self.path.parts if part in OURS)

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text, str(self.path))


def modules() -> list[Module]:
    """Every source file of ours that is not generated."""
    found = [
        path.relative_to(ROOT)
        for top in ("libs", "services", "deploy")
        for path in (ROOT / top).rglob("*.py")
        if OURS & set(path.relative_to(ROOT).parts) and "context" not in path.relative_to(ROOT).parts
    ]
    return [Module(path, (ROOT / path).read_text()) for path in sorted(found)]


def imports(module: Module) -> Iterator[str]:
    """Top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield module.package if node.level else (node.module or "").partition(".")[0]


def foreign(module: Module) -> list[str]:
    """Packages of ours that a module imports and may not."""
    allowed = MAY_IMPORT[module.package] | {module.package}
    return sorted({name for name in imports(module) if name in OURS - allowed})


def drivers(module: Module) -> list[str]:
    """Database drivers that a module imports and may not."""
    is_store = module.path.name == "store.py" or "store" in module.path.parts[:-1]
    if is_store or module.path.parts[-3:-1] == ("context_common", "postgres"):
        return []
    return sorted({name for name in imports(module) if name in DRIVERS})


def environment(module: Module) -> list[str]:
    """Lines that read the environment outside a `__main__.py`."""
    if module.path.name == "__main__.py":
        return []
    return [
        f"line {node.lineno}"
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {"environ", "getenv"} & _names(node))
    ]


def work_at_import(module: Module) -> list[str]:
    """Calls that make something while the module is imported, default arguments among them."""
    calls = [node for node in _executed(module.tree) if isinstance(node, ast.Call)]
    names = ((call.lineno, ast.unparse(call.func).rpartition(".")[2]) for call in calls)
    return [f"line {line}: {name}" for line, name in names if name in MAKERS]


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """What runs on import: everything but the bodies of functions and of `if __name__ == "__main__"`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "__name__ == '__main__'":
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for evaluated in (child.args, *getattr(child, "decorator_list", [])):
                yield evaluated
                yield from _executed(evaluated)
            continue
        yield child
        yield from _executed(child)


Rule = Callable[[Module], list[str]]
RULES: tuple[Rule, ...] = (foreign, drivers, environment, work_at_import)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sources_keep_the_law(rule: Rule) -> None:
    breaches = {str(module.path): rule(module) for module in modules()}
    assert {path: found for path, found in breaches.items() if found} == {}


@pytest.mark.parametrize(
    ("rule", "path", "text", "found"),
    [
        (foreign, "context_gateway/x.py", "from context_knowledge import items", ["context_knowledge"]),
        (foreign, "context_common/x.py", "def f():\n    import context.v1", ["context"]),
        (foreign, "context_local/x.py", "import context_gateway.app", ["context_gateway"]),
        (foreign, "context_gateway/x.py", "from context.v1 import types_pb2\nfrom . import y", []),
        (drivers, "context_knowledge/items.py", "from psycopg import sql", ["psycopg"]),
        (drivers, "context_knowledge/store/items.py", "from psycopg import sql", []),
        (drivers, "context_retrieval/store.py", "import pgvector", []),
        (environment, "context_gateway/app.py", "import os\nx = os.environ['PORT']", ["line 2"]),
        (environment, "context_gateway/app.py", "from os import environ", ["line 1"]),
        (environment, "context_gateway/__main__.py", "import os\nos.environ", []),
        (work_at_import, "context_gateway/app.py", "app = fastapi.FastAPI()", ["line 1: FastAPI"]),
        (work_at_import, "context_gateway/app.py", "def f(db=open_pool('x')): ...", ["line 1: open_pool"]),
        (work_at_import, "context_gateway/app.py", "class A:\n    db = open_pool('x')", ["line 2: open_pool"]),
        (work_at_import, "context_gateway/app.py", "def f():\n    return FastAPI()", []),
        (work_at_import, "context_gateway/app.py", "if __name__ == '__main__':\n    run()", []),
    ],
)
def test_a_breach_is_found(rule: Rule, path: str, text: str, found: list[str]) -> None:
    assert rule(Module(Path(path), text)) == found


def test_every_service_is_walked() -> None:
    assert {module.package for module in modules()} >= {"context_common", "context_local", "context_knowledge"}


def test_nothing_is_left_to_do() -> None:
    kinds = (".py", ".sql", ".proto", ".yaml", ".yml", ".tpl", ".sh", ".conf", ".template")
    folders = ("deploy", "libs", "protos", "services")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    assert len(files) > 200
    marked = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")
    assert [str(path.relative_to(ROOT)) for path in files if marked.search(path.read_text(errors="replace"))] == []
