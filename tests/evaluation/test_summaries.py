"""The JSON file of a micrograph, against its schema."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

from crisp_core.evaluation.summaries import NO_VERDICT, NOT_MEASURED, PATH, schema_text, write_summaries
from crisp_core.formats.relion_labels import JUNK_DISTANCE_LABEL, SHAPE_LABELS

MICROGRAPHS = pd.DataFrame(
    {"micrograph": ["full", "empty", "lost"], "star_path": ["m/full.mrc", "m/empty.mrc", "m/lost.mrc"]}
).assign(height=400, width=800)
SIZES = {"pixel_size": 1.5, "diameter_angstrom": 124.0}


def picks():
    table = pd.DataFrame({"micrograph": "full", "x": [1.25, 300.0], "y": [2.0, 40.5], "score": [0.9, np.nan]})
    return table.assign(**dict.fromkeys(SHAPE_LABELS, 123.4567891), **{JUNK_DISTANCE_LABEL: [np.inf, 50.0]})


def written(folder, curation, table):
    dropped = pd.DataFrame({"micrograph": ["full", "full", "empty"], "reason": ["small", "small", "large"]})
    write_summaries(folder, MICROGRAPHS, table, dropped, curation, sizes=SIZES)
    return {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}


def test_the_schema_of_the_documentation_is_that_of_the_model_and_is_valid():
    assert PATH.read_text() == schema_text(), "run python -m crisp_core.evaluation.summaries"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("measured", [True, False])
def test_every_micrograph_has_a_valid_file_with_its_picks_and_verdict(tmp_path, measured):
    curation = pd.DataFrame(
        {"micrograph": ["full", "empty"], "verdict": ["good", "bad"], "reason": [np.nan, "few particles"]}
    ).assign(particle_share=0.25, carbon_share=np.nan)
    table = picks() if measured else picks()[["micrograph", "x", "y", "score"]]
    found = written(tmp_path / "made", curation if measured else None, table)
    for one in found.values():
        jsonschema.validate(one, json.loads(schema_text()), cls=jsonschema.Draft202012Validator)
    assert found.keys() == {"full", "empty", "lost"}
    full, empty, lost = found["full"], found["empty"], found["lost"]
    assert (full["n_picks"], empty["n_picks"], full["n_dropped"], lost["n_dropped"]) == (2, 0, {"small": 2}, {})
    assert full["picks"]["x"] == [1.25, 300] and full["picks"]["score"] == [0.9, None]
    assert full["picks"]["diameter_angstrom"] == ([123.457] * 2 if measured else [None] * 2)
    assert full["picks"]["junk_distance_angstrom"] == ([None, 50] if measured else [None] * 2)
    assert all(values == [] for values in empty["picks"].values())
    assert (full["file"], full["shape_px"]) == ("m/full.mrc", [400, 800])
    if measured:
        assert [one["verdict"] for one in (full, empty, lost)] == ["good", "bad", None]
        assert [one["reason"] for one in (full, empty, lost)] == ["", "few particles", NOT_MEASURED]
        assert full["shares"] == {"particle": 0.25, "contaminant": None, "carbon": None, "empty": None}
    else:
        assert {one["reason"] for one in found.values()} == {NO_VERDICT}
