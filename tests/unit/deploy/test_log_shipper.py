"""The example that ships logs reads lines as the services write them. Fluent Bit is not run here: checked are its form,
the names of its options, and what it takes from a real line.
"""

import json
import subprocess
import sys
from datetime import datetime
from typing import Any

import yaml

from tests.support.monitoring import FOLDER

CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "logs/fluent-bit.yaml").read_text())
STORED = {"storage.type", "storage.total_limit_size", "retry_limit", "match", "name", "tag"}
OPTIONS = {  # of each plugin, as Fluent Bit's manual has them
    "tail": {"path", "multiline.parser", "db", "skip_long_lines", "refresh_interval"},
    "parser": {"key_name", "parser", "reserve_data"},
    "kubernetes": {"kube_tag_prefix", "labels", "annotations"},
    "loki": {"host", "port", "labels", "label_keys", "line_format"},
}
WRITE = """
import structlog
from context_common import logs
logs.configure("gateway")
structlog.contextvars.bind_contextvars(request_id="r-1")
structlog.get_logger().info("request", status=200)
"""


def line() -> dict[str, Any]:
    """A line that a service writes."""
    done = subprocess.run([sys.executable, "-c", WRITE], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_plugin_has_options_that_it_knows() -> None:
    assert set(CONFIG) == {"service", "parsers", "pipeline"}
    assert set(CONFIG["pipeline"]) == {"inputs", "filters", "outputs"}
    for plugin in (plugin for part in CONFIG["pipeline"].values() for plugin in part):
        assert set(plugin) - STORED <= OPTIONS[plugin["name"]], plugin


def test_every_input_is_parsed_and_leaves() -> None:
    (parser,) = (found for found in CONFIG["pipeline"]["filters"] if found["name"] == "parser")
    assert parser["parser"] in {found["name"] for found in CONFIG["parsers"]}
    assert parser["match"] == CONFIG["pipeline"]["outputs"][0]["match"] == "*"
    tag = next(found["tag"] for found in CONFIG["pipeline"]["inputs"] if "containers/context" in found["path"])
    (names,) = (found for found in CONFIG["pipeline"]["filters"] if found["name"] == "kubernetes")
    assert names["match"] == tag
    assert names["kube_tag_prefix"] == tag.rstrip("*") + "var.log.containers."


def test_the_time_and_the_labels_are_those_of_a_line_of_ours() -> None:
    written = line()
    (parser,) = CONFIG["parsers"]
    # %L, fractions of a second, is what Python calls %f.
    assert datetime.strptime(written[parser["time_key"]], parser["time_format"].replace("%L", "%f"))  # noqa: DTZ007
    labels = CONFIG["pipeline"]["outputs"][0]["label_keys"].replace("$", "").split(", ")
    assert set(labels) <= set(written)
    assert "request_id" not in labels, "each would be a stream of its own"
