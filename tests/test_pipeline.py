"""Public names and the chain on one micrograph; workflow/test_pipeline_run.py compares it with the rules."""

import numpy as np
import pytest

import crisp_core
from crisp_core.errors import UserError


def test_public_names_are_there():
    assert all(callable(getattr(crisp_core, name)) for name in crisp_core.PUBLIC)
    assert "pick_micrograph" in dir(crisp_core)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = crisp_core.nothing


def test_a_missing_network_is_named():
    with pytest.raises(UserError, match=r"nowhere\.pt: no such file"):
        crisp_core.pick_micrograph(np.zeros((64, 64)), 7.0, "nowhere.pt", diameter_angstrom=180)
