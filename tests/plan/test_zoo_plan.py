import copy

import pytest
import yaml

from crisp_core.errors import UserError
from crisp_core.plan import zoo
from crisp_core.plan.plan import Plan
from crisp_core.settings.checks import check_settings
from crisp_core.settings.questions import label_classes
from crisp_core.simulation.volume_lists import read_volume_table
from tests.conftest import ROOT
from tests.plan.configs import CONFIG, table

TABLE = "id\tmembrane\tkeep_out_of_training_when_testing_on\n1abc\tyes\t\n2def\t\tEMPIAR-1 (x)\n3ghi\t\tEMPIAR-1 (x)\n"


@pytest.fixture
def volumes(tmp_path):
    for name in ("1abc", "2def", "3ghi"):
        (tmp_path / f"{name}.cif.gz").touch()
    (tmp_path / "models.tsv").write_text(TABLE)
    return tmp_path


def plan(volume, **settings):
    config = copy.deepcopy(CONFIG)
    config["datasets"]["sim"]["simulation"] |= {"volume": volume, "zoo": settings}
    config["run"] = ["sim/unet"]
    return Plan(check_settings(config), table([("sim", "a", 0, 0)]))


def test_a_zoo_has_the_volumes_that_are_not_excluded_by_name_or_leak_group(volumes):
    options = {"table": str(volumes / "models.tsv")}
    whole = plan(f"{volumes}/*.cif.gz", **options)
    assert zoo.zoos(whole) == ["sim"] and zoo.single_volumes(whole) == []
    assert list(zoo.library_settings(whole, dataset="sim")["volumes"]) == ["1abc", "2def", "3ghi"]
    assert zoo.library_settings(whole, dataset="sim")["membrane"] == ["1abc"]
    # 25 px wide, 20 % more at most
    assert zoo.library_settings(whole, dataset="sim")["extent_px"] == 30
    part = plan(f"{volumes}/*.cif.gz", exclude=["EMPIAR-1"], **options)
    assert zoo.library_files(part, dataset="sim") == [str(volumes / "1abc.cif.gz")]
    named = plan([f"{volumes}/*.cif.gz", "pdb:5a1a"], exclude=["1abc"], **options)
    assert len(zoo.library_files(named, dataset="sim")) == 2
    assert set(zoo.zoo_volumes(named, "sim")) == {"2def", "3ghi", "5a1a"}


def test_mistakes_of_a_zoo_are_named(volumes):
    with pytest.raises(UserError, match="exclude: 9xyz is neither a volume nor a leak group"):
        zoo.check_zoo(plan(f"{volumes}/*.cif.gz", exclude=["9xyz"]), "sim")
    with pytest.raises(UserError, match="simulation/zoo/table"):
        zoo.check_zoo(plan(f"{volumes}/*.cif.gz", table=str(volumes / "no.tsv")), "sim")
    with pytest.raises(UserError, match="a zoo needs volumes"):
        plan(None)
    with pytest.raises(UserError, match="is more than the maximum"):
        plan(f"{volumes}/*.cif.gz", snr=[2.0, 1.0])
    config = copy.deepcopy(CONFIG)
    config["datasets"]["sim"]["simulation"]["volume"] = ["a.cif", "b.cif"]
    with pytest.raises(UserError, match="several volumes need"):
        check_settings(config)


def test_labels_of_a_zoo_have_four_classes(volumes):
    assert label_classes(plan(f"{volumes}/*.cif.gz").dataset("sim")) == [
        *("background", "particle", "contaminant", "carbon")
    ]


@pytest.mark.real
def test_training_validation_and_test_of_the_general_network_share_no_volume(shared_data):
    text = (ROOT / "examples/general.yaml").read_text().replace("../shared/data", str(shared_data))
    settings = check_settings(yaml.safe_load(text))
    names = ("zoo-train", "zoo-validation", "zoo-test")
    made = Plan(settings, table([(name, "a", 0, 0) for name in names]))
    train, validation, test = (set(zoo.zoo_volumes(made, name)) for name in names)
    assert len(train) > 140 and len(validation) >= 10 and len(test) == 12
    assert not train & validation and not train & test and not validation & test
    facts = read_volume_table(shared_data / "models/models.tsv")
    groups = {facts[name].group for name in train if name in facts}
    assert not any(word in group for group in groups for word in ("10017", "10146", "GroEL", "10025"))
