"""JSON schema of the config, for editors. ``python -m crisp_core.settings.schema`` writes it to `PATH`."""

import json
from pathlib import Path
from typing import Any

import yaml

from crisp_core.settings.config import Config

# between the description of a key and the YAML list of its examples
HEADING = "\n\nExamples\n--------\n"
PATH = Path(__file__).parents[2] / "rules/schemas/config.schema.json"


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a config file, with titles, descriptions, defaults and examples.

    A file may leave out any section, since several files make one config; `check_settings` requires them.
    """
    schema = _with_examples(Config.model_json_schema())
    del schema["required"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_examples(schema: Any) -> Any:
    """Schema in which the examples are lists of values, not text at the end of the descriptions."""
    if isinstance(schema, list):
        return [_with_examples(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _with_examples(value) for key, value in schema.items()}
    text, heading, examples = str(inner.get("description", "")).partition(HEADING)
    return {**inner, "description": text, "examples": yaml.safe_load(examples)} if heading else inner


def schema_text() -> str:
    """Text of the file with the JSON schema."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text())
