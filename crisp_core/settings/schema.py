"""JSON schema of the config, for editors. ``python -m crisp_core.settings.schema`` writes it to `PATH`."""

import json
from pathlib import Path
from typing import Any

from crisp_core.settings.config import Config

PATH = Path(__file__).parents[2] / "rules/schemas/config.schema.json"


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a config file, with titles, descriptions, defaults and examples.

    A file may leave out any section, since several files make one config; `check_settings` requires them.
    """
    schema = Config.model_json_schema()
    del schema["required"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Text of the file with the JSON schema."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text())
