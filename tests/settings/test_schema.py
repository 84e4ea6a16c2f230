import json
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from crisp_core.mistakes import sections_of
from crisp_core.sections import descriptions
from crisp_core.settings.config import Config
from crisp_core.settings.reference import all_sections, config_page
from crisp_core.settings.schema import PATH, json_schema, schema_text
from tests.conftest import ROOT

CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]
SECTIONS = [*all_sections(Config, "")]


def test_the_json_schema_is_up_to_date():
    assert PATH.read_text() == schema_text(), "run python -m crisp_core.settings.schema"
    Draft202012Validator.check_schema(json.loads(PATH.read_text()))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_config_names_the_json_schema_for_editors_and_agrees_with_it(path):
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).resolve() == PATH
    Draft202012Validator(json_schema()).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "config",
    [
        {"datasets": {"a": {"pixel_size": 1}}},
        {"datasets": {"a": {"extend": "b", "pixel_sise": 1}}},
        {"experiments": {"a": {"training": {"loss": ["unheard-of"]}}}},
        {"experiments": {"a": {"centers": {"finder": {"name": "nms", "s": 1}}}}},
        {"run": ["a"]},
    ],
)
def test_the_json_schema_tells_editors_of_mistakes(config):
    assert not Draft202012Validator(json_schema()).is_valid(config)


def test_every_key_says_what_it_means():
    for place, section in SECTIONS:
        assert section.__doc__, place
        for key, field in section.model_fields.items():
            assert descriptions(section).get(key) or [*sections_of(field.annotation)], f"{place}/{key}"


def examples_of(schema, place=""):
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "examples":
            yield from ((place, schema, example) for example in value)
        elif isinstance(value, dict | list):
            yield from examples_of(value, f"{place}/{key}")


def test_every_example_is_allowed():
    schema = json_schema()
    found = [*examples_of(schema)]
    assert {"micrographs", "loss", "finder", "train", "carbon_diameters", "exclude"} <= {
        place.rpartition("/")[2] for place, _, _ in found
    }
    for place, value, example in found:
        allowed = Draft202012Validator({**value, "$defs": schema["$defs"]}).is_valid(example)
        assert allowed, f"{place}: {example}"
    assert not any("----" in value.get("description", "") for _, value, _ in found)


def test_every_default_is_allowed():
    for place, section in SECTIONS:
        if not any(field.is_required() for field in section.model_fields.values()):
            assert section.of(section().plain()) == section(), place


def test_the_page_has_every_section_and_every_link_leads_to_one():
    page = config_page()
    anchors = set(re.findall(r"\{#(\w+)\}", page))
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= anchors
    assert {section.__name__.lower() for _, section in SECTIONS} <= anchors
    assert "| `pixel_size` | number ≥ 0.05 | required | Pixel size of the micrographs in Å/px" in page
