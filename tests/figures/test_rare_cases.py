import numpy as np
import pandas as pd
import pytest

from crisp_core.evaluation.maps import count_map, map_table
from crisp_core.figures.experiments import draw_experiments
from crisp_core.figures.histograms import draw_histograms
from crisp_core.figures.montage import draw_montage
from crisp_core.figures.precision_recall import draw_precision_recall
from crisp_core.figures.search import draw_search
from crisp_core.figures.training import draw_training
from tests.figures.drawing import drawn_pixels
from tests.figures.test_overlays import overlay, scene


def history(n=5, *, validation=True):
    epoch = np.arange(1, n + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "validation_loss": 1.2 / epoch if validation else np.nan,
            "validation_iou": [0.1, 0.5, 0.7, 0.9, 0.8][:n] if validation else np.nan,
            "learning_rate": 1e-3,
            "seconds": 3.0,
        }
    )


CHOSEN = {"finder": "nms", "cell_diameters": 0.4, "min_distance_diameters": 0.4}


def searched():
    settings = [("nms", cell, distance) for cell in (0.4, 0.5) for distance in (0.4, 0.7)]
    rows = pd.DataFrame(settings, columns=["finder", "cell_diameters", "min_distance_diameters"])
    return rows.assign(ap=[0.1, 0.2, np.nan, 0.9])


def searched_without_parameters():
    return pd.DataFrame({"finder": ["rings"], "ap": [0.4]})


def compared(seeds):
    rows = [(name, seed) for name in "abc" for seed in [*seeds, "mean", "sd"]]
    table = pd.DataFrame(rows, columns=["experiment", "seed"]).assign(dataset="d")
    return table.assign(pixel_iou=0.5, pixel_f1=0.6, pick_f1=0.7, train_seconds=[*range(len(rows))])


def histograms(names):
    rng = np.random.default_rng(0)
    rows = map_table(("test", name, count_map(rng.random((9, 9)), np.eye(9), np.ones((9, 9), bool))) for name in names)
    return rows[rows["micrograph"] != "all"].assign(name=names)


CASES = {
    "training without validation": lambda: draw_training(history(validation=False)),
    "one epoch": lambda: draw_training(history(1)),
    "overlay of picks alone": lambda: overlay(label=None, truth=None),
    "overlay without picks": lambda: overlay(picks=scene()[3].iloc[:0], truth=scene()[4].assign(matched=False)),
    "search of one setting": lambda: draw_search(searched().iloc[[0]], "ap", chosen=CHOSEN),
    "search of one parameter": lambda: draw_search(searched().drop(columns="cell_diameters"), "ap", chosen=CHOSEN),
    "search without parameters": lambda: draw_search(searched_without_parameters(), "ap", chosen={"finder": "rings"}),
    "table of one seed": lambda: draw_experiments(compared([1]).replace({"pixel_iou": np.nan})),
    "histograms": lambda: draw_histograms(histograms(["plain", "plain", "logits"])),
    "no curves": lambda: draw_precision_recall({}),
    "montage of none": lambda: draw_montage(np.empty((0, 20, 20))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("error")
def test_rare_cases_are_drawn_without_a_warning(name):
    pixels = drawn_pixels(CASES[name]())
    assert name == "montage of none" or pixels[..., :3].std() > 0.02
