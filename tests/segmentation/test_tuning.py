import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.segmentation import tuning
from crisp_core.segmentation.crf.settings import LayerSettings
from crisp_core.segmentation.crf.tuning import Tuned
from crisp_core.segmentation.crops import ALL_CERTAIN
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.tuning import tune

from .labelled import disc_micrographs
from .test_finetuning import small_network
from .test_training import PREDICTION

OPTIONS = {"classes": ["background", "particle"], "uncertain": ALL_CERTAIN, "tile_px": 64, "diameter_px": 12.0}


@pytest.mark.parametrize(("gain", "changes"), [(0.01, True), (0.002, False)])
def test_the_crf_is_off_unless_it_wins(gain, changes, tmp_path, monkeypatch):
    settings = LayerSettings(solver="mean_field", features="intensity", smoothness=4.0, unary_scale=0.3)
    monkeypatch.setattr(tuning, "tune_layer", lambda samples, diameter_px: Tuned(settings, 0.5 + gain, 1.0, 0.5))
    plain = small_network()
    network, rows = tune(plain, disc_micrographs(tmp_path), **OPTIONS)
    assert [row["kind"] for row in rows] == ["control", "crf"] and rows[1]["iou"] == 0.5 + gain
    image = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    before, after = (predict(one, image, **dict(PREDICTION)) for one in (plain, network.eval()))
    assert np.allclose(before, after, atol=1e-5) != changes


def test_one_validation_micrograph_is_not_enough(tmp_path):
    with pytest.raises(UserError, match="crf/type: tune needs 2 validation micrographs"):
        tune(small_network(), disc_micrographs(tmp_path)[:1], **OPTIONS)
