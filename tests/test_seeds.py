import ast
from pathlib import Path

import numpy as np

from crisp_core.seeds import named_rng

CORE = Path(__file__).parents[1] / "crisp_core"


def test_each_seed_name_and_purpose_has_numbers_of_its_own():
    keys = [(1, "a", "simulation"), (1, "a", "noise patches"), (1, "b", "simulation"), (2, "a", "simulation")]
    draws = np.array([named_rng(*key).standard_normal(10_000) for key in keys])
    np.testing.assert_array_equal(draws[0], named_rng(*keys[0]).standard_normal(10_000))
    correlation = np.corrcoef(draws)[np.triu_indices(len(keys), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(10_000)


def test_no_two_functions_share_a_purpose():
    calls = [
        ast.unparse(node.args[2])
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "named_rng"
    ]
    assert len(calls) == len(set(calls)) >= 5
