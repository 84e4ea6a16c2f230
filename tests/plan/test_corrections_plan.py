import json
import os

import pytest

from crisp_core.errors import UserError
from crisp_core.plan import batches, checks, corrections, datasets, reports, targets
from crisp_core.settings.questions import searches_centers
from tests.datasets.test_corrections import entry, file

from .configs import MINE, plan

ROWS = (("mine", "a", 0, 0), ("mine", "b", 1, 0), ("mine", "c", 2, 1))
EXPERIMENTS = {"general": {"network": "general"}, "unet": {"training": {"start": "general"}}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(path, *entries, author="A", minute=0, **facts):
    content = file(author, *[one | {"pixel_size_angstrom": 1.5} for one in entries], minute=minute).plain()
    with open(path, "w") as output:
        json.dump(content | facts, output)
    # another time of the file than that of the one before
    os.utime(path, (minute, minute))


def corrected(files="*.json", **more):
    mine = {key: value for key, value in MINE.items() if key not in ("coordinates", "split")}
    return plan(
        ROWS, datasets={"mine": mine | {"corrections": files} | more}, experiments=EXPERIMENTS, run=["mine/unet"]
    )


def test_only_the_batches_of_corrected_micrographs_have_digests_and_train(folder):
    saved("one.json", entry("b", added=[[5, 5]]))
    asked = corrected()
    assert asked.labelled == ["mine"] and asked.labels_come_from("corrections") == ["mine"]
    corrections.check_corrections(asked, "mine")
    assert corrections.batch_corrections(asked, dataset="mine", batch="0000") == {}
    assert list(corrections.batch_corrections(asked, dataset="mine", batch="0001")) == ["b"]
    assert batches.batches_to_train(asked, "mine") == ["0001"]
    assert datasets.stranger_files(asked, dataset="mine") == []


def test_another_correction_changes_no_digest_of_other_batches(folder):
    saved("one.json", entry("b", added=[[5, 5]]))
    first = corrections.batch_corrections(corrected(), dataset="mine", batch="0001")
    saved("two.json", entry("c", removed=[[9, 9]]), minute=3)
    asked = corrected()
    assert corrections.batch_corrections(asked, dataset="mine", batch="0001") == first
    assert list(corrections.addition_corrections(asked, dataset="mine", addition="1")) == ["c"]
    assert batches.batches_to_train(asked, "mine") == ["0001", "0002"]
    saved("one.json", entry("b", added=[[6, 5]]), minute=4)
    assert corrections.batch_corrections(corrected(), dataset="mine", batch="0001") != first


def test_micrographs_that_nobody_vouches_for_have_no_scores(folder):
    saved("one.json", entry("a"), entry("b", reviewed=False), entry("c", verdict="bad"))
    assert corrections.trusted_micrographs(corrected(), dataset="mine") == {"a": True, "b": False}
    assert corrections.unscored_micrographs(corrected(), dataset="mine") == ["b"]
    trusting = corrected({"files": "*.json", "trust": "all"})
    assert corrections.unscored_micrographs(trusting, dataset="mine") == []
    notices = corrections.correction_notices(corrected(), dataset="mine")
    assert "2 micrographs are corrected from CRISP's own picks (general)" in notices[0] and "c is marked" in notices[1]


def test_untrusted_corrections_give_no_scores_and_choose_no_threshold(folder):
    saved("one.json", entry("a"), entry("b"))
    parts = {"train": ["a"], "validation": ["b"]}
    asked = corrected({"files": "*.json", "trust": "none"}, split=parts)
    assert not corrections.has_scores(asked, "mine") and corrections.has_scores(corrected(), "mine")
    files = targets.run_evaluations(asked, "mine", "unet")
    assert not [path for path in files if "metrics" in path or "precision" in path]
    assert "picks" not in reports.report_input(asked, dataset="mine", experiment="unet")
    with pytest.raises(UserError, match=r"datasets/mine/corrections: none of the corrected micrographs is trusted, so"):
        checks.check_trust(asked, "mine", "unet")
    checks.check_trust(corrected(), "mine", "unet")
    given = asked.settings.experiments["unet"].centers.model_copy(update={"finder": "nms", "threshold": 0.4})
    asked.settings.experiments["unet"] = asked.settings.experiments["unet"].model_copy(update={"centers": given})
    checks.check_trust(asked, "mine", "unet")
    assert reports.report_run(asked, run="mine/unet")["truth"] is None


def test_scores_are_marked_and_the_corrected_network_stays_as_it_is(folder):
    saved("one.json", entry("a"))
    asked = corrected()
    assert reports.report_run(asked, run="mine/unet")["truth"] == "corrected from CRISP's own picks"
    assert reports.report_run(plan(), run="mine/unet")["truth"] is None
    # particles that were marked on micrographs without picks are an independent truth
    saved("two.json", entry("b"), experiment="annotate")
    assert reports.report_run(corrected("two.json"), run="mine/unet")["truth"] is None
    assert "marked by hand" in corrections.correction_notices(corrected("two.json"), dataset="mine")[0]
    assert reports.report_run(corrected(), run="mine/unet")["truth"] == "corrected from CRISP's own picks"
    # its threshold is not chosen on the corrections
    assert not searches_centers(asked.dataset("mine"), asked.experiment("general"))
    assert searches_centers(asked.dataset("mine"), asked.experiment("unet"))


WRONG = {
    "other dataset": ({"dataset": "other"}, entry("a"), "one.json, dataset: the corrections are of other and not of"),
    "no micrograph": ({}, entry("aa"), "one.json: no micrograph of mine is called aa, the nearest name is a"),
    "pixel size": ({}, entry("a"), "one.json, a: was corrected at 1.5 Å/px, and datasets/mine/pixel_size is 1.6"),
    "all bad": ({}, entry("a", verdict="bad"), "datasets/mine/corrections: all micrographs in the files are marked"),
}


@pytest.mark.parametrize("name", WRONG)
def test_corrections_that_do_not_fit_the_dataset_are_refused(folder, name):
    facts, one, message = WRONG[name]
    saved("one.json", one, **facts)
    asked = corrected(**({"pixel_size": 1.6} if name == "pixel size" else {}))
    with pytest.raises(UserError) as error:
        corrections.check_corrections(asked, "mine")
    assert message in str(error.value)


CHANGES = {
    "coordinates": ({"coordinates": MINE["coordinates"]}, "coordinates gives the particles of this dataset"),
    "counts": ({"split": {"train": 2}}, "split: numbers have no meaning for corrected micrographs"),
    "labels": ({"labels": {"source": "clicks"}}, "corrections are labelled by discs"),
    "weight": ({"corrections": {"files": "a.json", "weight": 16}}, "weight: 16 is more than the maximum"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_settings_without_a_meaning_for_corrections_are_refused(name):
    changes, message = CHANGES[name]
    with pytest.raises(UserError) as error:
        corrected(**changes)
    assert message in str(error.value)


def test_pickers_are_not_compared_on_corrections_of_own_picks(folder):
    mine = {key: value for key, value in MINE.items() if key not in ("coordinates", "split")}
    with pytest.raises(UserError, match="mine has no coordinates to compare with"):
        plan(
            ROWS,
            datasets={"mine": mine | {"corrections": "a.json"}},
            experiments=EXPERIMENTS,
            comparisons={"c": {"dataset": "mine", "entries": ["general", "unet"]}},
        )
