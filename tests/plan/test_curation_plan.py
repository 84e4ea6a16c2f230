"""Curation in the plan: files of exclusions, CTF columns, and names that do not exist."""

import re

import pytest

from crisp_core.errors import UserError
from crisp_core.plan import curation, targets

from .configs import MINE, plan

RUN = {"dataset": "mine", "experiment": "unet"}


def excluding(**settings):
    return plan(experiments={"unet": {"curation": settings}})


def test_only_a_config_that_excludes_micrographs_asks_for_their_tables():
    for asked in (plan(), excluding(keep_micrographs=["a"])):
        assert curation.all_excluded(asked, **RUN) == []
        assert curation.excluded(asked, **RUN, batch="0000") == []
    asked = excluding(exclude=["bad"])
    assert curation.all_excluded(asked, **RUN) == [f"results/mine/unet/excluded/{i:04d}.tsv" for i in range(3)]
    assert curation.judged_measures(asked, **RUN, batch="0001") == ["results/mine/unet/curation/0001.tsv"]
    assert curation.judged_measures(excluding(exclude_micrographs=["a"]), **RUN, batch="0001") == []
    assert curation.batch_names(asked, dataset="mine", batch="0001") == ["b"]


@pytest.mark.parametrize("key", ["exclude_micrographs", "keep_micrographs"])
def test_a_listed_name_that_does_not_exist_is_refused(key):
    curation.check_exclusions(excluding(**{key: ["c"]}), "mine", "unet")
    message = f"config, experiments/unet/curation/{key}: no micrograph is called c.mrc; .*the nearest is c$"
    with pytest.raises(UserError, match=message):
        curation.check_exclusions(excluding(**{key: ["c.mrc"]}), "mine", "unet")


def test_verdicts_on_another_programs_picks_are_refused():
    other = {"picker": {"program": "relion-log"}, "curation": {"exclude": ["bad"]}}
    with pytest.raises(UserError, match=re.escape("experiments/log/curation/exclude: picks of another program have")):
        curation.check_exclusions(plan(experiments={"log": other}, run=["mine/log"]), "mine", "log")


def test_ctf_columns_of_a_batch_are_numbers_alone(tmp_path):
    header = "".join(
        f"_{label}\n" for label in ("rlnMicrographName", "rlnDefocusU", "rlnDefocusV", "rlnCtfMaxResolution")
    )
    rows = "job/a.mrc 9000 8000 nan\njob/b.mrc 9000 8500 4.5\n"
    (tmp_path / "ctf.star").write_text(f"data_\nloop_\n{header}{rows}")
    asked = plan(datasets={"mine": MINE | {"ctf": str(tmp_path / "ctf.star")}})
    of_b = {"defocus_angstrom": 8750, "astigmatism_angstrom": 500, "ctf_resolution_angstrom": 4.5}
    assert curation.ctf_quality(asked, dataset="mine", batch="0001") == {"b": of_b}
    assert "ctf_resolution_angstrom" not in curation.ctf_quality(asked, dataset="mine", batch="0000")["a"]
    assert curation.ctf_quality(plan(), dataset="mine", batch="0000") == {}
    # cryoSPARC's name of the same micrograph
    (tmp_path / "uid.star").write_text(f"data_\nloop_\n{header}{rows.replace('b.mrc', f'{7:021d}_b.mrc')}")
    renamed = plan(datasets={"mine": MINE | {"ctf": str(tmp_path / "uid.star")}})
    assert curation.ctf_quality(renamed, dataset="mine", batch="0001") == {"b": of_b}
    assert "results/mine/unet/micrographs_selected.star" in targets.picks(asked)
    assert "results/mine/unet/micrographs_selected.star" not in targets.picks(plan())
