import dataclasses
import os
from pathlib import Path

import pytest
import torch
import yaml

from crisp_core.errors import UserError
from crisp_core.plan import checks, leaks, networks, reports, tables, targets
from crisp_core.plan.datasets import user_states
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput, write_facts
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import network_file, sha256

from .configs import MINE, config, plan

BOTH = {"both": {"datasets": ["mine", "sim"]}}
NAMED = {"named": {"network": "both"}}
ROWS = (("mine", "a", 0, 0), ("mine", "b", 1, 0), ("sim", "a", 0, 0), ("bare", "x", 0, 0))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_checkpoint(path, diameter_px=25.0, normalization="gaussian_mixture"):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({}, path)
    write_facts(
        path, NetworkFacts(["background", "particle"], NetworkInput(diameter_px, normalization, 0.0), NetworkSettings())
    )
    return str(path)


def test_an_experiment_has_a_network_of_its_own():
    asked = plan()
    assert networks.predictor(asked, "mine", "unet") == "results/mine/unet/network.pt"
    assert networks.training_splits(asked, network="mine/unet") == ["results/mine/split/drawn.tsv"]
    assert networks.centers_file(asked, dataset="mine", experiment="unet") == "results/mine/unet/centers.yaml"
    assert networks.trainable(asked) == ["mine/unet"]


def test_a_network_of_two_datasets_trains_on_both():
    asked = plan(ROWS, run=["mine/named", "sim/named"], networks=BOTH, experiments=NAMED)
    assert networks.predictor(asked, "mine", "named") == networks.predictor(asked, "sim", "named")
    assert networks.predictor(asked, "mine", "named") == "results/networks/both/network.pt"
    files = networks.training_files(asked, "results/{dataset}/labels/{batch}.h5", network="networks/both")
    assert files == [f"results/{batch}.h5" for batch in ("mine/labels/0000", "mine/labels/0001", "sim/labels/0000")]
    sources = networks.training_sources(asked, network="networks/both")
    assert {name: source["n_batches"] for name, source in sources.items()} == {"mine": 2, "sim": 1}
    assert targets.networks(asked) == ["results/networks/both/network.pt"]
    assert "results/networks/both/plots/training.png" in targets.evaluations(asked)
    # each dataset chooses its own finder and threshold
    assert networks.centers_file(asked, dataset="sim", experiment="named") == "results/sim/named/centers.yaml"
    assert networks.network_beside(asked, dataset="sim", experiment="named") == "../../networks/both/network.pt"


def test_the_datasets_of_a_network_are_in_use_without_a_run():
    asked = plan(ROWS, networks=BOTH)
    assert asked.datasets == ["mine", "sim"] and asked.run_datasets == ["mine"]


def test_a_dataset_without_coordinates_takes_the_threshold_of_the_config():
    experiments = {"named": {"network": "both", "centers": {"threshold": 0.4}}}
    asked = plan(ROWS, run=["bare/named"], networks=BOTH, experiments=experiments)
    assert networks.centers_file(asked, dataset="bare", experiment="named") == "results/bare/named/centers-given.yaml"
    assert asked.dataset("bare").preparation.working_pixel_size == 12
    files = targets.results(asked)
    assert not [path for path in files if "metrics" in path or "search" in path or "calibration" in path]
    assert "results/bare/named/autopick.star" in files
    with pytest.raises(UserError, match=r"bare/named has no validation micrographs.*centers/threshold, such as"):
        config(run=["bare/named"], networks=BOTH, experiments=NAMED)


def test_a_network_may_be_a_file(folder):
    path = write_checkpoint(folder / "elsewhere/network.pt")
    asked = plan(run=["mine/file"], experiments={"file": {"network": path}})
    assert networks.predictor(asked, "mine", "file") == path
    assert networks.first_network(asked, "mine", "file") == path
    assert leaks.parts_are_unknown(asked, "mine", "file")
    assert reports.report_plots(asked, dataset="mine", experiment="file") == [
        f"results/mine/file/plots/{name}.png" for name in ("sizes", "search", "precision_recall", "calibration")
    ]
    assert targets.networks(asked) == []


def test_a_file_decides_the_working_pixel_size(folder):
    path = write_checkpoint(folder / "network.pt", diameter_px=30.0)
    settings = config(run=["mine/file"], experiments={"file": {"network": path}})
    assert settings.datasets["mine"].preparation.working_pixel_size == 5.0


@pytest.mark.parametrize(
    ("preparation", "message"),
    [
        ({"working_pixel_size": 8.0}, "expects particles 25 px wide, here they are 18.8 px; .*_pixel_size to 6"),
        ({"normalization": "robust"}, "set preparation/normalization to gaussian_mixture"),
        ({"highpass_angstrom": 500}, "high-pass of 0 px, here it is 83.3 px; set preparation/highpass_angstrom to 0"),
    ],
)
@pytest.mark.parametrize("kind", ["entry", "file"])
def test_a_dataset_must_look_like_those_of_the_network(preparation, message, kind, folder):
    experiments = NAMED if kind == "entry" else {"named": {"network": write_checkpoint(folder / "n.pt")}}
    other = MINE | {"preparation": preparation}
    changes = {"run": ["other/named"], "datasets": {"other": other}, "experiments": experiments}
    with pytest.raises(UserError, match=rf"config, run: other/named: .*{message}.* in datasets/other"):
        config(networks={"both": {"datasets": ["mine"]}}, **changes)


def test_the_datasets_of_a_network_must_look_alike():
    other = MINE | {"preparation": {"working_pixel_size": 9.0}}
    with pytest.raises(UserError, match="networks/two/datasets: other does not look like mine"):
        config(datasets={"other": other}, networks={"two": {"datasets": ["mine", "other"]}})


def test_two_sizes_on_one_dataset_are_refused():
    experiments = {"fine": {"network": {"pixels_per_diameter": 50}}}
    with pytest.raises(UserError, match="experiments/unet sees its particle 25 px wide and experiments/fine 50 px"):
        config(run=["mine/unet", "mine/fine"], experiments=experiments)


@pytest.mark.parametrize(
    "used",
    [
        {"comparisons": {"c": {"dataset": "mine", "entries": ["unet", "fine"]}}},
        {"tables": {"t": {"rows": ["unet", "fine"]}}},
        {"tables": {"t": {"rows": ["unet", "mine/fine"]}}},
    ],
)
def test_two_sizes_are_refused_also_in_tables_and_comparisons(used):
    experiments = {"fine": {"network": {"pixels_per_diameter": 50}}}
    with pytest.raises(UserError, match="experiments/unet sees its particle 25 px wide and experiments/fine 50 px"):
        config(run=["mine/unet"], experiments=experiments, **used)


def test_a_network_of_other_datasets_may_have_seen_the_test_part():
    rows = (*((name, "a", 0, 0) for name in ("mine", "copy", "away", "sim", "sim2", "other")),)
    entry = {"named": {"network": "net"}}
    more = {"copy": MINE, "away": MINE, "sim2": {"extend": "sim"}}
    # an SNR of its own changes no draw, a number of particles all
    more["sim2"]["simulation"] = {"snr": 0.1}
    more["other"] = {"extend": "sim", "simulation": {"n_particles": [3, 5]}}
    for trained, scored, unknown in (
        ("mine", "mine", False),
        ("copy", "mine", True),
        ("away", "mine", False),
        ("sim", "sim2", True),
        ("sim", "other", False),
    ):
        asked = plan(
            rows,
            run=[f"{scored}/named"],
            networks={"net": {"datasets": [trained]}},
            experiments=entry,
            datasets=more,
        )
        paths = {
            "mine": "/data/a.mrc",
            "copy": "/data/a.mrc",
            "away": "/else/a.mrc",
            "sim": "",
            "sim2": "",
            "other": "",
        }
        asked = dataclasses.replace(
            asked, micrographs=asked.micrographs.assign(path=asked.micrographs["dataset"].map(paths).fillna(""))
        )
        assert leaks.parts_are_unknown(asked, scored, "named") == unknown, (trained, scored)


@pytest.mark.parametrize(
    ("training", "datasets_seen"),
    [({"start": "first"}, ("away", "copy")), ({"start": "general"}, ("away",)), ({"start": "random"}, ("away",))],
)
def test_a_network_has_seen_the_datasets_of_its_start(training, datasets_seen):
    more = {"copy": MINE, "away": MINE}
    entries = {"first": {"datasets": ["copy"]}, "net": {"datasets": ["away"], "training": training}}
    asked = plan(
        (("away", "a", 0, 0),),
        run=["away/named"],
        datasets=more,
        networks=entries,
        experiments={"named": {"network": "net"}},
    )
    assert leaks.training_datasets(asked, "away", "named") == datasets_seen


def test_an_earlier_run_may_have_seen_anything_whatever_network_it_replaces(folder):
    write_checkpoint(folder / "old/results/mine/unet/network.pt")
    experiments = {"shipped": {"network": "general"}, "old": {"extend": "shipped", "trained": "old/results/mine/unet"}}
    asked = plan(run=["mine/shipped", "mine/old"], experiments=experiments)
    assert leaks.scores_may_leak(asked, "mine", "old") and not leaks.scores_may_leak(asked, "mine", "shipped")


def test_a_network_that_starts_from_a_file_may_have_seen_anything(folder):
    start = write_checkpoint(folder / "elsewhere/network.pt")
    asked = plan(experiments={"unet": {"training": {"start": start}}})
    assert leaks.training_datasets(asked, "mine", "unet") is None and leaks.parts_are_unknown(asked, "mine", "unet")
    # which its page says, but not that of a network of its own or of a shipped one
    assert reports.report_run(asked, run="mine/unet")["may_leak"]
    reused = {"unet": {"trained": "results/mine/gen"}, "gen": {"network": "general"}}
    for experiments, more in (({}, []), ({"unet": {"network": "general"}}, []), (reused, ["mine/gen"])):
        assert not reports.report_run(plan(run=["mine/unet", *more], experiments=experiments), run="mine/unet")[
            "may_leak"
        ]


def test_a_simulation_that_repeats_the_training_micrographs_in_other_parts_is_refused():
    rows = (("sim", "a", 0, 0), ("sim2", "a", 0, 0))
    use = {
        "run": ["sim2/named"],
        "networks": {"net": {"datasets": ["sim"]}},
        "experiments": {"named": {"network": "net"}},
    }

    def asked(**changes):
        return plan(rows, datasets={"sim2": {"extend": "sim", **changes}}, **use)

    leaks.check_draws(asked(), "sim2", "named")
    other = {"split": {"train": 1, "validation": 1}}
    with pytest.raises(
        UserError, match=r"datasets/sim2: simulates the micrographs of sim again, .* set simulation/seed"
    ):
        leaks.check_draws(asked(**other), "sim2", "named")
    leaks.check_draws(asked(**other, simulation={"seed": 2}), "sim2", "named")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": {"n": {"datasets": ["nowhere"]}}}, "networks/n/datasets: nowhere is not an entry of datasets"),
        ({"networks": {"n": {"datasets": ["bare"]}}}, "networks/n/datasets: bare has no coordinates"),
        ({"experiments": {"unet": {"network": "nothing"}}}, "nothing is neither an entry of networks nor a .pt file"),
        ({"experiments": {"unet": {"network": "nothing.pt"}}}, "nothing.pt does not exist"),
        (
            {"experiments": {"unet": {"network": "both", "training": {"epochs": 2}, "seed": 3}}, "networks": BOTH},
            "network both is trained elsewhere, so seed and training would have no effect",
        ),
        (
            {"networks": {"n": {"datasets": ["mine"], "network": {"classes": ["particle"]}}}},
            "networks/n/network/classes",
        ),
        ({"networks": {"n": {}}}, "config, networks/n: datasets is missing; give it"),
        ({"datasets": {"networks": MINE}}, "datasets"),
    ],
)
def test_mistakes_get_one_line(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        config(**changes)
    assert "\n" not in str(caught.value)


def test_a_crf_is_the_experiments_own_while_the_network_is_shared():
    experiments = {"crf": {"extend": "unet", "crf": {"type": "logits"}}}
    asked = plan(run=["mine/crf"], experiments=experiments)
    assert networks.predictor(asked, "mine", "crf") == "results/mine/crf/crf.pt"
    assert networks.first_network(asked, "mine", "crf") == "results/mine/unet/network.pt"
    assert networks.before_crf(asked, network="mine/crf") == "results/mine/unet/network.pt"
    assert networks.finetuned(asked) == networks.with_crf(asked) == ["mine/crf"]
    assert targets.networks(asked) == ["results/mine/crf/crf.pt", "results/mine/unet/network.pt"]


def test_a_run_without_crf_does_not_plot_that_of_the_one_it_extends():
    experiments = {"crf": {"crf": {"type": "logits"}}, "plain": {"extend": "crf", "crf": {"type": "none"}}}
    asked = plan(run=["mine/plain"], experiments=experiments)
    assert networks.predictor(asked, "mine", "plain") == "results/mine/crf/network.pt"
    assert targets.training_evaluations(asked, "mine", "plain") == ["results/mine/crf/plots/training.png"]


def test_a_tuned_crf_predicts_and_nothing_trains_it():
    asked = plan(run=["mine/crf"], experiments={"crf": {"extend": "unet", "crf": {"type": "tune"}}})
    assert networks.predictor(asked, "mine", "crf") == "results/mine/crf/crf.pt"
    assert networks.tuned(asked) == networks.with_crf(asked) == ["mine/crf"] and networks.finetuned(asked) == []
    # there is no history to draw
    assert targets.training_evaluations(asked, "mine", "crf") == [
        "results/mine/unet/plots/training.png",
        "results/mine/crf/plots/crf.png",
    ]


def test_a_network_with_a_crf_predicts_after_it():
    crf = {"both": BOTH["both"] | {"crf": {"type": "control"}}}
    asked = plan(ROWS, run=["mine/named"], networks=crf, experiments=NAMED)
    assert networks.predictor(asked, "mine", "named") == "results/networks/both/crf.pt"
    assert networks.first_network(asked, "mine", "named") == "results/networks/both/network.pt"
    assert networks.with_crf(asked) == []


def test_tables_train_a_named_network_once_per_seed():
    asked = plan(ROWS, tables={"t": {"rows": ["named"], "seeds": [1, 2]}}, networks=BOTH, experiments=NAMED)
    assert tables.table_checkpoints(asked, dataset="mine", table="t") == [
        "results/networks/both/network.pt",
        "results/networks/both-seed2/network.pt",
    ]
    _, jobs = tables.table_jobs(asked, dataset="mine", table="t")
    assert jobs["train"] == [("results/networks/both-seed2", "train")] and "train_crf" not in jobs
    assert jobs["predict"][0] == ("results/mine/named-seed2", "predict/0000")
    assert networks.training_seed(asked, network="networks/both-seed2") == 2


def test_trained_follows_runs_of_this_plan_and_folders_of_others(folder):
    experiments = {"again": {"trained": "results/mine/unet"}, "older": {"trained": "old"}}
    (folder / "old").mkdir()
    asked = plan(run=["mine/unet", "mine/again", "mine/older"], experiments=experiments)
    assert networks.predictor(asked, "mine", "again") == "results/mine/unet/network.pt"
    assert networks.centers_file(asked, dataset="mine", experiment="again") == "results/mine/unet/centers.yaml"
    with pytest.raises(UserError, match=r"experiments/older/trained: old holds no network\.pt"):
        checks.check_experiment_files(asked, "older")
    Path("old/centers.yaml").write_text(yaml.safe_dump({"network": "../shared/crf.pt"}))
    assert networks.predictor(asked, "mine", "older") == str(folder / "shared/crf.pt")
    write_checkpoint(folder / "old/crf.pt", diameter_px=40.0)
    assert networks.predictor(asked, "mine", "older") == str(folder / "old/crf.pt")
    with pytest.raises(UserError, match="mine/older: the network expects particles 40 px wide"):
        checks.check_reused_network(asked, "mine", "older")


@pytest.mark.parametrize("text", ["network: 5", "[1]", "network: [", ""])
def test_a_trained_folder_with_unusable_centers_has_its_network_beside(folder, text):
    (folder / "old").mkdir()
    (folder / "old/centers.yaml").write_text(text)
    assert networks.trained_checkpoint(folder / "old") == folder / "old/network.pt"


def test_a_network_that_was_trained_again_without_its_threshold_is_refused(folder):
    asked = plan(run=["mine/older"], experiments={"older": {"trained": "old"}})
    (folder / "old").mkdir()
    first = Path(write_checkpoint(folder / "old/network.pt"))
    Path("old/centers.yaml").write_text(yaml.safe_dump({"network": "network.pt", "network_sha256": sha256(first)}))
    checks.check_experiment_files(asked, "older")
    first.write_bytes(first.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"older/trained: old/network\.pt is not the network for which"):
        checks.check_experiment_files(asked, "older")


@pytest.mark.parametrize("from_rules", [False, True])
def test_states_are_those_of_the_users_files_that_no_rule_makes(folder, from_rules):
    mine = MINE | {"micrographs": ["raw/a.mrc"], "micrographs_from_rules": from_rules}
    asked = plan(datasets={"mine": mine})
    file = Path(write_checkpoint(folder / "elsewhere/network.pt"))
    (folder / "raw").mkdir()
    (folder / "raw/a.mrc").write_bytes(b"1234")
    paths = [str(file), "results/mine/unet/network.pt", network_file("general")]
    assert list(user_states(asked, paths)) == [str(file)]
    os.utime("raw/a.mrc", (1e9, 1e9))
    states = user_states(asked, "raw/a.mrc", dataset="mine")
    assert states == ({} if from_rules else {"raw/a.mrc": (4, 10**9)})


def test_a_network_takes_no_more_micrographs_than_each_of_its_datasets_has():
    entry = BOTH["both"] | {"training": {"n_micrographs": 3}}
    with pytest.raises(
        UserError, match=r"networks/both/training/n_micrographs: 3 is more than the 2 training .* datasets/mine/split"
    ):
        config(networks={"both": entry})


def test_a_network_with_the_name_of_a_seeded_copy_is_refused():
    taken = BOTH | {"both-seed2": {"datasets": ["mine"]}}
    with pytest.raises(UserError, match="networks/both-seed2: a table needs this name for both with seed 2; rename it"):
        config(tables={"t": {"rows": ["named"], "seeds": [1, 2]}}, networks=taken, experiments=NAMED)


def test_two_experiments_of_a_table_share_the_seeded_copies_of_their_network():
    experiments = NAMED | {"low": {"extend": "named", "centers": {"threshold": 0.1}}}
    asked = plan(ROWS, tables={"t": {"rows": ["named", "low"], "seeds": [2]}}, networks=BOTH, experiments=experiments)
    files = tables.table_checkpoints(asked, dataset="mine", table="t")
    assert files == ["results/networks/both-seed2/network.pt"] * 2


def test_a_network_file_in_the_users_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    path = write_checkpoint(folder / "n.pt")
    assert config(experiments={"unet": {"network": "~/n.pt"}}).experiments["unet"].network == path


@pytest.mark.parametrize("order", [["coarse", "mine"], ["mine", "coarse"]])
def test_a_dataset_follows_its_network_wherever_it_is_in_the_config(order):
    datasets = {"coarse": MINE | {"pixel_size": 10.0}, "mine": MINE}
    settings = config(
        run=["mine/named"],
        datasets={name: datasets[name] for name in order},
        networks={"both": {"datasets": ["coarse"]}},
        experiments=NAMED,
    )
    assert settings.datasets["mine"].preparation.working_pixel_size == 10.0


def test_a_file_left_in_the_folder_of_a_run_is_not_its_network(folder):
    write_checkpoint(folder / "results/mine/named/network.pt")
    shared = write_checkpoint(folder / "results/networks/both/network.pt")
    beside = {"network": "../../networks/both/network.pt"}
    (folder / "results/mine/named/centers.yaml").write_text(yaml.safe_dump(beside))
    assert str(networks.trained_checkpoint(folder / "results/mine/named")) == shared


def test_the_network_of_a_run_is_named_from_its_folder_below_a_prefix(folder):
    write_checkpoint(folder / "n.pt")
    changes = {
        "run": ["bare/given", "mine/unet"],
        "experiments": {"given": {"network": "n.pt", "centers": {"threshold": 0.5}}},
    }
    asked = dataclasses.replace(plan(ROWS, **changes), prefix="p/")
    assert networks.network_beside(asked, dataset="bare", experiment="given") == "../../../../n.pt"
    assert networks.network_beside(asked, dataset="mine", experiment="unet") == "network.pt"


def test_a_reused_run_counts_as_the_network_that_it_names():
    # the network saw 25 px, the run that names it 27 px, and the run that reuses that one 29.5 px
    sizes = {"near": 150 / 27, "far": 150 / 29.5}
    more = {name: MINE | {"preparation": {"working_pixel_size": size}} for name, size in sizes.items()}
    asked = plan(
        run=["near/named", "far/again"],
        datasets=more,
        networks={"one": {"datasets": ["mine"]}},
        experiments={"named": {"network": "one"}, "again": {"trained": "results/near/named"}},
    )
    with pytest.raises(UserError, match="far/again: the network expects particles 25 px wide"):
        checks.check_reused_network(asked, "far", "again")


def test_an_addition_to_one_dataset_of_a_network_is_no_input_of_its_training():
    before, after = (
        plan((*ROWS, *added), run=["mine/named", "sim/named"], networks=BOTH, experiments=NAMED)
        for added in ((), (("mine", "c", 2, 1), ("sim", "b", 1, 1)))
    )
    asked = {"network": "networks/both"}
    pattern = "results/{dataset}/labels/{batch}.h5"
    assert networks.training_files(before, pattern, **asked) == networks.training_files(after, pattern, **asked)
    assert networks.training_sources(before, **asked) == networks.training_sources(after, **asked)
