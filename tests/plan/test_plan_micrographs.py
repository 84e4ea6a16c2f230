import numpy as np
import pytest

from crisp_core.datasets.batches import Place, read_places
from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.stems import micrograph_stem
from crisp_core.plan import batches, datasets, micrographs
from crisp_core.plan.additions import places_file
from crisp_core.plan.checks import check_listed_micrographs
from crisp_core.plan.plan import Plan

from .configs import config, plan, table

PATTERN = "results/{dataset}/images/{batch}.h5"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for name in "abc":
        (tmp_path / f"raw/{name}.mrc").touch()
    return tmp_path


def test_micrographs_fill_batches_and_keep_their_places(folder, monkeypatch):
    settings = config(micrographs_per_job=2)
    first = micrographs.make_plan(settings, is_main=True).micrographs
    assert first["batch"].tolist() == ["0000", "0000", "0001"] and set(first["addition"]) == {"0"}
    micrographs.record(micrographs.Plan(settings, first))
    assert read_places(places_file("mine"))["c"] == Place(1, 0)
    (folder / "results/mine/split").mkdir()
    (folder / "results/mine/split/drawn.tsv").touch()
    (folder / "raw/Z.mrc").touch()
    (folder / "raw/a.mrc").unlink()
    second = micrographs.make_plan(settings, is_main=True).micrographs.set_index("micrograph")
    assert second.loc["c", ["batch", "addition"]].tolist() == ["0001", "0"]
    assert second.loc["Z", ["batch", "addition"]].tolist() == ["0002", "1"]
    # a job's own process knows what was recorded when it was sent, and opens no file to see what is to be left out
    with monkeypatch.context() as patch:
        patch.setattr(micrographs, "find_byproducts", None)
        assert micrographs.make_plan(settings, is_main=False).micrographs["micrograph"].tolist() == ["b", "c"]
    micrographs.record(micrographs.Plan(settings, second.reset_index()))
    assert read_places(places_file("mine")).keys() == {"a", "b", "c", "Z"}


def test_a_plan_is_the_same_before_and_after_rules_made_the_micrographs(folder):
    paths = ["motion/x_noDW.mrc", "motion/x_DW.mrc", "raw/a.mrc", "./raw/a.mrc"]
    mine = config().datasets["mine"].plain() | {"micrographs": paths, "micrographs_from_rules": True}
    settings = config(micrographs_per_job=2, datasets={"mine": mine})

    def questions():
        made = micrographs.make_plan(settings, is_main=True)
        asked = {"dataset": "mine", "batch": "0000"}
        assert micrographs.batch_files(made, **asked) == paths[:2] and not made.left_out["mine"]
        assert datasets.user_states(made, paths[:2], dataset="mine") == {}
        return made.micrographs.to_dict(), micrographs.header_pixel_size(made, dataset="mine")

    before = questions()
    (folder / "motion").mkdir()
    for path in paths[:2]:
        write_mrc(folder / path, np.zeros((8, 8), np.float32), pixel_size=2.0, dtype="float32")
    assert questions() == before


def test_a_job_takes_the_file_and_not_its_link_of_the_same_name(folder):
    (folder / "links").mkdir()
    (folder / "links/a.mrc").symlink_to("../raw/a.mrc")
    mine = config().datasets["mine"].plain() | {"micrographs": ["links/*.mrc", "raw/*.mrc"]}
    settings = config(datasets={"mine": mine})
    first = micrographs.make_plan(settings, is_main=True)
    micrographs.record(first)
    job = micrographs.make_plan(settings, is_main=False).micrographs
    assert job["path"].tolist() == first.micrographs["path"].tolist() == [f"raw/{name}.mrc" for name in "abc"]


def test_an_imported_run_refuses_a_listed_micrograph_without_a_file():
    mine = config().datasets["mine"].plain() | {"micrographs": ["raw/*.mrc", "motion/x.mrc"]}
    made = mine | {"micrographs": ["motion/x.mrc"], "micrographs_from_rules": True}
    imported, alone, from_rules = (
        Plan(config(datasets={"mine": entry}), table([]), prefix)
        for entry, prefix in ((mine, "picking/"), (mine, ""), (made, "picking/"))
    )
    with pytest.raises(UserError, match=r"motion/x\.mrc does not exist; if a rule makes it, set micrographs_"):
        check_listed_micrographs(imported, "mine")
    # outside of an import, rule prepare quarantines it
    check_listed_micrographs(alone, "mine")
    check_listed_micrographs(from_rules, "mine")


def test_names_that_two_files_share_are_refused():
    with pytest.raises(UserError, match=r"x/a\.mrc and y/a\.tif share the name a"):
        micrographs.by_name([("a", "x/a.mrc"), ("a", "y/a.tif")], "mine")


@pytest.mark.parametrize(
    "path", ["a{b}.mrc", "a\tb.mrc", "a\u2028b.mrc", b"a\xff.mrc".decode(errors="surrogateescape")]
)
def test_paths_that_tables_cannot_hold_are_refused(path):
    with pytest.raises(UserError, match=r"datasets/mine/micrographs: .*; rename it"):
        micrographs.by_name([("a", path)], "mine")


def test_no_file_is_an_error(folder):
    with pytest.raises(UserError, match="datasets/mine/micrographs: "):
        micrographs.make_plan(
            config(datasets={"mine": config().datasets["mine"].plain() | {"micrographs": "no/*.mrc"}}), is_main=True
        )


def test_files_of_batches_and_additions():
    asked = plan()
    files = batches.all_batches(asked, PATTERN, dataset="mine")
    assert files == [f"results/mine/images/000{n}.h5" for n in range(3)]
    assert batches.addition_batches(asked, PATTERN, dataset="mine", addition="1") == files[2:]
    assert batches.all_additions(asked, "{dataset}/{addition}", dataset="mine") == ["mine/0", "mine/1"]
    assert batches.batch_addition(asked, "{dataset}/{addition}", dataset="mine", batch="0002") == "mine/1"
    assert batches.labelled_names(asked, dataset="mine", batch="0002") == [
        "results/mine/coordinates/0-names.tsv",
        "results/mine/coordinates/1-names.tsv",
    ]


def test_parts_are_drawn_from_the_first_run_or_from_what_is_listed():
    asked = plan()
    assert batches.batches_to_train(asked, "mine") == ["0000", "0001"]
    assert batches.drawn_micrographs(asked, dataset="mine") == ["a", "b"]
    listed = config().datasets["mine"].plain() | {"split": {"train": ["a"], "validation": ["c"], "test": ["b"]}}
    asked = plan(datasets={"mine": listed})
    assert batches.batches_to_train(asked, "mine") == ["0000", "0002"]
    assert batches.drawn_micrographs(asked, dataset="mine") == ["a", "b", "c"]
    assert batches.trained_additions(asked, "{addition}", dataset="mine") == ["0", "1"]


def test_paths_of_files_and_of_simulations():
    asked = plan()
    assert micrographs.batch_paths(asked, dataset="mine", batch="0001") == {"b": "raw/b.mrc"}
    assert micrographs.batch_files(asked, dataset="mine", batch="0001") == ["raw/b.mrc"]
    assert micrographs.star_paths(asked, dataset="mine")["c"] == "results/mine/micrographs/c.mrc"
    assert micrographs.batch_paths(asked, dataset="mine", batch="0009") == {}


def test_tables_name_a_simulated_micrograph_and_not_the_file_of_its_batch():
    asked = plan(run=["mine/unet", "sim/unet"])
    asked.micrographs.loc[asked.micrographs["dataset"] == "sim", "path"] = ""
    (path,) = micrographs.shown_paths(asked, dataset="sim", batch="0000").values()
    assert path == "results/sim/micrographs/a.mrc" and micrograph_stem(path) == "a"
    assert micrographs.shown_paths(asked, dataset="mine", batch="0001") == {"b": "raw/b.mrc"}
