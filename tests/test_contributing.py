"""The worked examples of CONTRIBUTING.md, applied to a copy of CRISP, where each is used as the text says."""

import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.conftest import PARTS, TINY

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLES = re.findall(r"^### (.*)$", TEXT, re.M)
# with tests, and what these read
ALL_PARTS = [*PARTS, "tests", "examples", "pyproject.toml", "docs/generators", "docs/formats.md"]
# tests that run through a registry
REGISTRY_TESTS = [
    "tests/segmentation/test_losses.py",
    "tests/picking/test_finders.py",
    "tests/picking/test_search.py::test_a_name_alone_is_in_the_grid_of_its_finder",
    "tests/pickers/test_picker_settings.py",
    "tests/pickers/test_pickers.py::test_every_program_starts_from_its_name",
    "tests/formats/coordinates/test_registry.py",
    "tests/test_fuzz.py::test_a_damaged_file_is_read_or_refused_in_one_line",
    "tests/figures/test_registry.py",
    "tests/settings/test_schema.py",
    "tests/test_classes.py",
]
# of these, the tests of the new entries, and those of a registry as a whole and of what is made of it
NEW = ("focal", "regions", "difference-of-gaussians", "points", "defocus")
WHOLE = (
    "test_schema",
    "test_classes",
    "lists_the_formats",
    "documentation",
    "names_are",
    "names_files",
    "every_module",
)


def section(title):
    """Text of one worked example."""
    return re.split(r"\n#{2,3} ", TEXT[TEXT.index(f"\n### {title}\n") + 5 :], maxsplit=1)[0]


def apply_example(folder, text):
    """Write the modules of an example and change the registries as its differences say."""
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        path = folder / code.split()[1]
        assert not path.exists()
        path.write_text(code)
    for difference in re.findall(r"```diff\n(.*?)```", text, re.S):
        name, *lines = difference.splitlines()
        path = folder / name.removeprefix("--- ")
        old, new = ("\n".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        content = path.read_text()
        assert content.count(old) == 1, f"{name}: these lines are not there once:\n{old}"
        path.write_text(content.replace(old, new))


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of CRISP with all examples, and the files that are made of the registries."""
    folder = tmp_path_factory.mktemp("contributing") / "crisp"
    for part in ALL_PARTS:
        copy_part(part, folder)
    for title in EXAMPLES:
        apply_example(folder, section(title))
    code = """
        from pathlib import Path
        from crisp_core.formats.coordinates.reference import format_table
        from crisp_core.settings.schema import PATH, schema_text

        PATH.write_text(schema_text())
        *before, last = format_table().splitlines()
        page = Path("docs/formats.md")
        assert page.read_text().count(before[-1]) == 1
        page.write_text(page.read_text().replace(before[-1], f"{before[-1]}\\n{last}"))
    """
    run(folder, code)
    return folder


def copy_part(part, folder):
    """Copy a file or folder of CRISP."""
    (folder / part).parent.mkdir(exist_ok=True, parents=True)
    if (ROOT / part).is_dir():
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / part, folder / part)


def run(folder, code):
    """Run Python in the copy; the last line of what it prints."""
    arguments = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().rpartition("\n")[2]


def test_the_tests_of_the_registries_pass_with_all_examples(changed):
    command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "-m", "not slow"]
    command += [*REGISTRY_TESTS, "-k", " or ".join(NEW + WHOLE)]
    done = subprocess.run(command, cwd=changed, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in NEW:
        assert re.search(rf"\[.*{name}.*\] PASSED", done.stdout), f"{name}: no test runs\n{done.stdout}"


def test_a_new_loss_or_picker_reruns_no_training(tmp_path):
    for part in ("crisp_core", "workflow_scripts", "tests/plan", "tests/__init__.py"):
        copy_part(part, tmp_path)
    for title in ("A loss", "Another picker"):
        apply_example(tmp_path, section(title))
    code = """
        from crisp_core.plan import digests
        from tests.plan.configs import plan

        pickers = {name: {"picker": {"program": name}} for name in ("topaz", "relion-log")}
        asked = plan(experiments=pickers)
        found = [digests.training_code(asked, script, network="mine/unet") for script in ("train", "train_crf")]
        for name in pickers:
            found.append(digests.picker_code(asked, "pick_with_program", experiment=name))
        print(*found)
    """
    digests = run(tmp_path, code)
    assert digests == run(ROOT, code) and len(set(digests.split())) == 4


def test_the_loss_trains_one_step(changed):
    code = """
        import torch
        from crisp_core.segmentation.losses.total import make_loss

        torch.manual_seed(0)
        network = torch.nn.Conv2d(1, 2, 3, padding=1)
        images, labels = torch.randn(4, 1, 16, 16), torch.randint(0, 2, (4, 16, 16), dtype=torch.uint8)
        loss = make_loss([{"name": "focal", "gamma": 1.5}])
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        before = loss(network(images), labels)
        before.backward()
        optimizer.step()
        assert loss(network(images), labels) < before
        entropy = make_loss(["cross_entropy"])(network(images), labels)
        assert torch.isclose(make_loss([{"name": "focal", "gamma": 0}])(network(images), labels), entropy)
    """
    run(changed, code)


def test_the_finder_finds_and_is_searched(changed):
    code = """
        import numpy as np, pandas as pd
        from crisp_core.picking.finders import FINDERS, settings_to_try
        from crisp_core.picking.search import choose, find_centers, scores_by_setting, search_table

        rows, columns = np.indices((160, 160))
        truth = pd.DataFrame({"micrograph": "a", "x": [40.0, 120.0, 60.0], "y": [40.0, 60.0, 120.0]})
        image = np.zeros((160, 160), np.float32)
        for x, y in truth[["x", "y"]].to_numpy():
            image[np.hypot(columns - x, rows - y) <= 10] = 0.9
        found = find_centers(image, {"name": "regions", "rise_diameters": 0.08}, diameter_px=20)
        assert np.allclose(*(table.sort_values("x")[["x", "y"]].to_numpy() for table in (found, truth)), atol=0.1)
        settings = [setting for setting in settings_to_try("search") if setting.name == "regions"]
        table = search_table(scores_by_setting([("a", image)], truth, diameter_px=20, settings=settings))
        assert len(table) == 9 and table.loc[choose(table), "f1"] == 1
    """
    run(changed, code)


def test_the_picker_finds_dark_discs(changed, tmp_path):
    code = f"""
        from pathlib import Path
        import h5py, numpy as np
        from crisp_core.formats.arrays import write_array
        from crisp_core.pickers import PICKERS
        from crisp_core.pickers.picker import Batch

        rows, columns = np.indices((128, 128))
        image = np.random.default_rng(0).normal(0, 0.2, (128, 128)).astype(np.float32)
        places = [(30, 40), (90, 30), (64, 100)]
        for x, y in places:
            image[np.hypot(columns - x, rows - y) <= 8] -= 1
        with h5py.File({str(tmp_path / "images.h5")!r}, "w") as file:
            write_array(file, "image", "a", image, pixel_size=10.0, full_shape=(256, 256))
        picker = PICKERS["difference-of-gaussians"]()
        picks = picker.pick(Batch({str(tmp_path / "images.h5")!r}, {{}}, 5.0, 160, Path())).picks
        best = picks.nlargest(3, "score").sort_values("x")[["x", "y"]].to_numpy() / 2
        assert np.abs(best - sorted(places)).max() < 2
    """
    run(changed, code)


def test_the_format_reads_and_writes(changed, tmp_path):
    code = f"""
        import math
        from pathlib import Path
        import pandas as pd
        from crisp_core.datasets.importing import import_coordinates
        from crisp_core.errors import UserError
        from crisp_core.formats.coordinates import registry

        path, empty = Path({str(tmp_path / "mic.points")!r}), Path({str(tmp_path / "empty.points")!r})
        path.write_text("1 2 3\\n4 b 6\\n")
        try:
            registry.read_coordinates(path)
        except UserError as error:
            assert "mic.points: line 2: y is 'b', which is not a number; correct" in str(error)
        else:
            raise AssertionError
        given = pd.DataFrame({{"micrograph": "mic", "x": [1.5, 30], "y": [2.0, 4.25], "score": [0.5, math.nan]}})
        registry.write_coordinates(path, given, format="points")
        assert registry.detect_format(path).name == "points" and not registry.names_micrographs(path)
        pd.testing.assert_frame_equal(registry.read_coordinates(path), given)
        empty.write_text("")
        shapes = {{"mic": (50, 50), "empty": (50, 50)}}
        names = import_coordinates([str(path), str(empty)], shapes, format="auto", origin="top-left").names
        assert dict(zip(names["micrograph"], names["n_coordinates"], strict=True)) == {{"mic": 2, "empty": 0}}
    """
    run(changed, code)


def test_the_class_is_in_labels_and_picks_keep_away_from_it(changed):
    code = """
        import numpy as np
        from crisp_core.classes import CLASSES, network_label
        from crisp_core.labels.pixel_classes import add_scenery_classes
        from crisp_core.picking.settings import RemovalSettings
        from crisp_core.simulation.scenery import Scenery, class_map

        aggregated = np.zeros((8, 8), bool)
        aggregated[2:4, 2:4] = True
        classes = class_map(Scenery(None, (), np.empty((0, 2))), (8, 8), aggregated)
        label = add_scenery_classes(np.ones((8, 8), np.uint8), classes)
        assert CLASSES[4] == "aggregate" and (label[aggregated] == 4).all() and (label[~aggregated] == 1).all()
        assert (network_label(label, ["background", "particle", "aggregate"])[aggregated] == 2).all()
        assert RemovalSettings(aggregate_diameters=0.8).aggregate_diameters == 0.8
        assert RemovalSettings().aggregate_diameters == 1
    """
    run(changed, code)


def test_no_registry_imports_a_heavy_library(changed):
    modules = "crisp_core.settings.checks, crisp_core.plan.pickers"
    heavy = {"torch", "skimage", "trackpy"}
    run(changed, f"import sys, {modules}; assert not {heavy} & set(sys.modules)")


def test_the_main_process_loads_no_library_of_the_finders():
    modules = "crisp_core.settings.checks, crisp_core.plan.checks"
    heavy = {"torch", "skimage", "trackpy", "scipy.ndimage", "scipy.spatial"}
    run(ROOT, f"import sys, {modules}; assert not {heavy} & set(sys.modules)")


@pytest.mark.slow
def test_a_config_with_all_of_them_has_a_plan(changed):
    config = yaml.safe_load(yaml.safe_dump(TINY))
    dataset, small = config["datasets"]["tiny"], config["experiments"]["small"]
    dataset["simulation"]["scenery"] = {"aggregates": {"n_per_micrograph": [1, 2]}}
    small["network"]["classes"] = ["background", "particle", "aggregate"]
    small["training"]["loss"] = ["dice", {"name": "focal", "gamma": 3, "weight": 0.5}]
    small["centers"] = {"finder": {"name": "regions", "rise_diameters": 0.08}}
    small["removal"] = {"aggregate_diameters": 0.8}
    config["experiments"]["dog"] = {"picker": {"program": "difference-of-gaussians"}}
    config["run"] = ["tiny/small", "tiny/dog"]
    (changed / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "config.yaml"]
    done = subprocess.run(command, cwd=changed, capture_output=True, text=True)
    assert re.search(r"^pick_with_program +2$", done.stdout + done.stderr, re.M), done.stdout + done.stderr
