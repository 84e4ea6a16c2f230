"""Jobs of the CCP-EM pipeliner: `crisp.autopick` and `crisp.train`.

The pipeliner finds them by the entry points of CRISP's package. They call crisp_pick and crisp_train, which must be on
PATH and run in CRISP's own environment; so this module imports nothing but the pipeliner.

Source: documentation of ccpem-pipeliner 1.6, "Writing new jobs".
"""

from collections.abc import Sequence
from pathlib import Path

from pipeliner.display_tools import create_results_display_object, make_particle_coords_thumb
from pipeliner.external_program_utils import ExternalProgram
from pipeliner.job_options import (
    BooleanJobOption,
    FileDescription,
    FloatJobOption,
    InputNodeJobOption,
    IntJobOption,
    StringJobOption,
)
from pipeliner.nodes import (
    NODE_IMAGE2DGROUPMETADATA,
    NODE_MICROGRAPHCOORDSGROUP,
    NODE_MICROGRAPHGROUPMETADATA,
    NODE_MLMODEL,
)
from pipeliner.pipeliner_job import PipelinerCommand, PipelinerJob
from pipeliner.results_display_objects import ResultsDisplayObject
from pipeliner.starfile_handler import StarFile

PICKS, MASKS, NETWORK = "autopick.star", "masks.star", "network.pt"
PICK_REPORT = "results/micrographs/general/report.html"
TRAIN_REPORT, TRAIN_CURVE = (f"results/micrographs/trained/{name}" for name in ("report.html", "plots/training.png"))
NUMBER = r"\s*[0-9]+(\.[0-9]*)?\s*"
DIAMETER_HELP = "Longest extent of the particle in Å."


class CrispJob(PipelinerJob):
    """Base of both jobs: program, options of every job, and words of the command line."""

    OUT_DIR = "AutoPick"
    CATEGORY_LABEL = "Automated Particle Picking"
    PROGRAM = ""

    def __init__(self) -> None:
        super().__init__()
        self.can_continue = True
        self.jobinfo.programs = [ExternalProgram(self.PROGRAM)]
        self.jobinfo.version = "0.1"
        self.jobinfo.job_author = "CRISP developers"

    def add_micrographs(self, help_text: str) -> None:
        """Add the star file of the micrographs."""
        self.joboptions["input_file"] = InputNodeJobOption(
            label="Input micrographs file:",
            node_type=NODE_MICROGRAPHGROUPMETADATA,
            node_kwds=["relion"],
            pattern=FileDescription("Micrographs STAR file", [".star"]),
            help_text=help_text,
            in_continue=True,
            is_required=True,
        )

    def add_diameter(self, help_text: str, pattern: str, message: str) -> None:
        """Add the diameter.

        Parameters
        ----------
        help_text : str
            Meaning of the option.
        pattern : str
            Regular expression of its values.
        message : str
            Error for another value.
        """
        self.joboptions["diameter"] = StringJobOption(
            label="Particle diameter (Å):",
            help_text=help_text,
            validation_regex=pattern,
            regex_error_message=message,
            in_continue=True,
            is_required=True,
        )

    def add_run_options(self) -> None:
        """Add the options of the computer, after those of the job."""
        self.joboptions["gpu"] = StringJobOption(
            label="Which GPUs to use:",
            help_text="Numbers such as 0 or 0,1, or none. Blank: those that PyTorch finds.",
            validation_regex=r"(none|[0-9]+([:,][0-9]+)*)?",
            regex_error_message="Must be numbers separated by commas, or none",
            in_continue=True,
            jobop_group="Running options",
        )
        self.get_runtab_options(threads=True, addtl_args=True)

    def command(self, **options: str) -> list[PipelinerCommand]:
        """Command of the job; `options` names the job option of each option, and blank ones are left out."""
        words = [self.PROGRAM, "--o", self.output_dir.rstrip("/")]
        for name, key in (options | {"j": "nr_threads", "gpu": "gpu"}).items():
            if value := self.joboptions[key].get_string():
                words += [f"--{name}", value.strip()]
        return [PipelinerCommand([*words, *self.parse_additional_args()])]

    def path(self, name: str) -> str:
        """Path of a file in the job's folder."""
        return str(Path(self.output_dir) / name)

    def report_display(self, name: str) -> list[ResultsDisplayObject]:
        """Page of the run, if it was made."""
        path = self.path(name)
        if not Path(path).is_file():
            return []
        return [create_results_display_object("html", title="Report", html_file=path, associated_data=[path])]


class CrispAutopick(CrispJob):
    """Picks, and masks, of all micrographs of a star file."""

    PROCESS_NAME = "crisp.autopick"
    PROGRAM = "crisp_pick"

    def __init__(self) -> None:
        super().__init__()
        self.jobinfo.display_name = "CRISP picking"
        self.jobinfo.short_desc = "Particle picking by segmentation, without training"
        self.jobinfo.long_desc = (
            "Picks particles by segmentation of the micrographs. The general network needs no coordinates and no map, "
            "only the diameter of the particle; a crisp.train job gives a network of its own."
        )
        self.add_micrographs("Star file of the micrographs, in MRC format.")
        self.add_diameter(f"{DIAMETER_HELP} auto estimates it.", f"(auto|{NUMBER})", "Must be a number, or auto")
        self.joboptions["network"] = InputNodeJobOption(
            label="Network of a crisp.train job:",
            node_type=NODE_MLMODEL,
            node_kwds=["crisp"],
            pattern=FileDescription("Network", [".pt"]),
            help_text="Blank: the general network, which comes with CRISP.",
            in_continue=True,
        )
        self.joboptions["threshold"] = FloatJobOption(
            label="Minimum score:",
            default_value=None,
            hard_min=0,
            hard_max=1,
            help_text="Picks with a lower score are dropped. Blank: the threshold of the network.",
            in_continue=True,
        )
        self.joboptions["masks"] = BooleanJobOption(
            label="Write masks?",
            default_value=True,
            help_text="For every micrograph, a mask of the classes and a map of probabilities.",
            in_continue=True,
        )
        self.add_run_options()

    def create_output_nodes(self) -> None:
        """Coordinates, and the list of the masks."""
        self.add_output_node(PICKS, NODE_MICROGRAPHCOORDSGROUP, ["relion", "crisp", "autopick"])
        if self.joboptions["masks"].get_boolean():
            self.add_output_node(MASKS, NODE_IMAGE2DGROUPMETADATA, ["crisp", "mask"])

    def get_commands(self) -> list[PipelinerCommand]:
        """Call crisp_pick."""
        return self.command(
            in_mics="input_file", diameter="diameter", network="network", threshold="threshold", masks="masks"
        )

    def create_results_display(self) -> Sequence[ResultsDisplayObject]:
        """Picks on the first micrograph, their numbers, and the report."""
        found = StarFile(self.path(PICKS)).get_block("coordinate_files")
        rows = [tuple(row) for row in found.find(["_rlnMicrographName", "_rlnMicrographCoordinates"])]
        counts = [StarFile(file).count_block() for _, file in rows]
        histogram = create_results_display_object(
            "histogram",
            title=f"{sum(counts)} picks on {len(counts)} micrographs",
            data_to_bin=counts,
            xlabel="Picks",
            ylabel="Micrographs",
            associated_data=[self.path(PICKS)],
        )
        picture = [make_particle_coords_thumb(*rows[0], self.output_dir)] if rows else []
        return [*picture, histogram, *self.report_display(PICK_REPORT)]


class CrispTrain(CrispJob):
    """Network from coordinates, such as those of manual picking."""

    PROCESS_NAME = "crisp.train"
    PROGRAM = "crisp_train"

    def __init__(self) -> None:
        super().__init__()
        self.jobinfo.display_name = "CRISP training"
        self.jobinfo.short_desc = "Network for picking, from coordinates on some micrographs"
        self.jobinfo.long_desc = (
            "Learns from the micrographs with coordinates. Pick every particle on them: the rest counts as background."
        )
        self.joboptions["input_coords"] = InputNodeJobOption(
            label="Input coordinates:",
            node_type=NODE_MICROGRAPHCOORDSGROUP,
            node_kwds=["relion"],
            pattern=FileDescription("Coordinates STAR file", [".star"]),
            help_text="List of coordinate files, such as of a manual picking job.",
            in_continue=True,
            is_required=True,
        )
        self.add_micrographs("Star file of the picked micrographs, in MRC format.")
        self.add_diameter(DIAMETER_HELP, NUMBER, "Must be a number")
        self.joboptions["epochs"] = IntJobOption(
            label="Epochs:",
            default_value=None,
            hard_min=1,
            help_text="Number of epochs of the training. Blank: CRISP's default.",
            in_continue=True,
        )
        self.add_run_options()

    def create_output_nodes(self) -> None:
        """Network, which crisp.autopick takes."""
        self.add_output_node(NETWORK, NODE_MLMODEL, ["crisp"])

    def get_commands(self) -> list[PipelinerCommand]:
        """Call crisp_train."""
        return self.command(in_coords="input_coords", in_mics="input_file", diameter="diameter", epochs="epochs")

    def create_results_display(self) -> Sequence[ResultsDisplayObject]:
        """Curve of the training, and the report."""
        curve = create_results_display_object(
            "image",
            title="Training",
            image_path=self.path(TRAIN_CURVE),
            image_desc="Loss and IoU by epoch",
            associated_data=[self.path(NETWORK)],
        )
        return [curve, *self.report_display(TRAIN_REPORT)]
