"""What is generated from the schema is up to date, and what the manual shows is right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tomli

from supervisor_stack.config import reference
from supervisor_stack.config.document import Document
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.shape import read_shape
from supervisor_stack.errors import ConfigError
from tests.config.sites import Site

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / reference.DOCUMENT_FILE).read_text()
EXAMPLES = [text for text in re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL) if not text.startswith("#:")]
ENVIRON = {"NICE": "5", "TIMEOUT": "1s", "REDIS_PASSWORD": "x"}


def test_the_json_schema_is_up_to_date() -> None:
    assert (ROOT / reference.SCHEMA_FILE).read_text() == reference.json_schema()


def test_the_tables_of_the_manual_are_up_to_date() -> None:
    assert reference.fill(MANUAL) == MANUAL


def test_the_manual_has_every_table() -> None:
    places = set(re.findall(r"<!-- table of (\w+) -->\n\|", MANUAL))

    assert places == {"kinds", *reference.TABLES}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_manual_has_the_right_shape(example: str) -> None:
    mistakes = Mistakes(Document("stackd.toml", example, tomli.loads(example)))

    read_shape(mistakes.document.tree, ENVIRON, mistakes)

    mistakes.raise_if_any()


def test_every_example_of_the_schema_is_right_by_itself() -> None:
    definitions = json.loads(reference.json_schema())["$defs"]
    service = {name: key["examples"][0] for name, key in definitions["ServiceTable"]["properties"].items()}
    probe = {name: key["examples"][0] for name, key in definitions["ProbeTable"]["properties"].items()}
    tree = {"services": {"a": service, "b": {"ready": probe}}}
    mistakes = Mistakes(Document("stackd.toml", "", tree))

    read_shape(tree, ENVIRON, mistakes)

    mistakes.raise_if_any()


def test_the_mistakes_that_the_manual_shows_are_told_like_that(site: Site) -> None:
    shown = re.findall(r"```\n(stackd\.toml:.*?)```", MANUAL, re.DOTALL)[0].splitlines()
    text = """\
[services.nginx]
kind = "ngnix"
config = "nginx.conf"
requires = ["uwgsi"]

[services.worker]
command = "celery worker"
stop_timeout = "soon"

[services.uwsgi]
kind = "uwsgi"
config = "uwsgi.ini"
"""

    with pytest.raises(ConfigError) as caught:
        site.load(text)

    assert [line.replace(str(site.file), "stackd.toml") for line in caught.value.detail] == shown
