"""Writes what of the chart is made from elsewhere: README's tables, and copies of alert rules and dashboards.

A chart can only read files inside its own folder, so it carries copies; with --check nothing is written, and the exit
code says whether everything is as it would be written.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "context"
MONITORING = Path(__file__).parents[1] / "monitoring"
# Which files of MONITORING stand where in the chart.
COPIED = {"rules/*.yml": "files/rules", "grafana/dashboards/*.json": "files/dashboards"}
START, END = "<!-- values -->\n", "<!-- end of values -->\n"
LONGEST = 90  # characters of a default that a table shows

Row = tuple[str, str, str]  # path, default, meaning


def main() -> None:
    """Write, or with --check compare."""
    wanted = {CHART / "README.md": readme((CHART / "README.md").read_text()), **copies()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    stale += [path for folder in COPIED.values() for path in (CHART / folder).glob("*") if path not in wanted]
    if sys.argv[1:] == ["--check"]:
        names = ", ".join(str(path.relative_to(CHART)) for path in stale)
        sys.exit(f"the chart is out of date: {names}; run `make chart`" if stale else 0)
    for path in stale:
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
        else:
            path.unlink()


def copies() -> dict[Path, str]:
    """What the chart carries of the monitoring's files, by where it stands."""
    return {
        CHART / folder / path.name: path.read_text()
        for pattern, folder in COPIED.items()
        for path in sorted(MONITORING.glob(pattern))
    }


def readme(text: str) -> str:
    """README with its tables made anew."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    rows = ["| value | default | meaning |", "|---|---|---|"]
    rows += [f"| `{path}` | {default} | {meaning} |" for path, default, meaning in values()]
    return before + START + "\n".join(rows) + "\n" + END + after


def values() -> Iterator[Row]:
    """Every value with its comment.

    Raises:
        SystemExit: One has none.
    """
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text)
    if isinstance(root, yaml.MappingNode):
        yield from _rows(root, "", text.splitlines())


def _rows(node: yaml.MappingNode, path: str, lines: list[str]) -> Iterator[Row]:
    for key, value in node.value:
        name, meaning = f"{path}{key.value}", _comment(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and _is_explained(value, lines):
            if meaning:
                yield name, "", meaning
            yield from _rows(value, f"{name}.", lines)
        elif meaning:
            yield name, _default(value), meaning
        else:
            sys.exit(f"values.yaml: {name} has no comment")


def _is_explained(node: yaml.MappingNode, lines: list[str]) -> bool:
    """Whether what stands in a mapping has comments; else the mapping's own is for all of it."""
    return any(
        _comment(lines, key.start_mark.line) or (isinstance(value, yaml.MappingNode) and _is_explained(value, lines))
        for key, value in node.value
        if not node.flow_style
    )


def _comment(lines: list[str], line: int) -> str:
    """The comment right above a line, as one sentence."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(each.strip().lstrip("# ") for each in lines[first:line])


def _default(value: yaml.Node) -> str:
    text = json.dumps(yaml.safe_load(yaml.serialize(value)), ensure_ascii=False)
    return f"`{text}`" if len(text) <= LONGEST else "see values.yaml"


if __name__ == "__main__":
    main()
