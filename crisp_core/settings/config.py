"""Config: the sections at its top level, and the entries of datasets, networks and experiments."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    WithJsonSchema,
    model_serializer,
)

from crisp_core.datasets.settings import CoordinateSettings, CorrectionChoice, Origin, PublicSource, SplitSettings
from crisp_core.evaluation.settings import CurationSettings, ResolutionSettings
from crisp_core.formats.settings import DownloadSettings
from crisp_core.labels.settings import LabelSettings
from crisp_core.particles.settings import NoiseSettings, ParticleSettings
from crisp_core.pickers import PICKERS
from crisp_core.pickers.picker import Picker
from crisp_core.picking.settings import CenterSettings, RemovalSettings
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.sections import (
    NAME,
    UNIQUE,
    Count,
    Entry,
    Matching,
    Name,
    Names,
    Natural,
    Paths,
    PixelSize,
    Positive,
    Section,
    Share,
    UserPath,
)
from crisp_core.segmentation.crf.settings import CrfSettings
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.settings.entry_names import DatasetName, ExperimentName
from crisp_core.simulation.settings import SimulationSettings

# settings.unknown_diameters puts a number in place of auto before this model checks the config
POSITIVE_OR_AUTO = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "auto"}]}


def _kind_of_network(given: Any) -> str:
    return "@text" if isinstance(given, str) else "@section"


def _kind_of_picker(given: Any) -> str:
    """Tag of a section `picker`, as a mapping or as a model."""
    keys = given if isinstance(given, Mapping) else dict(given) if isinstance(given, Section) else {"files": None}
    return "@files" if "files" in keys else f"@{keys.get('program')}"


NetworkChoice = Annotated[
    Annotated[UserPath, Tag("@text")] | Annotated[NetworkSettings, Tag("@section")],
    Discriminator(_kind_of_network),
]
if TYPE_CHECKING:
    # mypy reads no union that is made of a registry
    PickerChoice = Picker
else:
    programs = [name for name, picker in PICKERS.items() if not picker.from_files]
    PickerChoice = Annotated[
        reduce(or_, (Annotated[picker, Tag(f"@{name}")] for name, picker in PICKERS.items())),
        Discriminator(
            _kind_of_picker,
            custom_error_type="mistake",
            custom_error_message=f"no files and no known program; give files, or program: {', '.join(programs)}",
        ),
    ]


class DatasetSettings(PublicSource):
    """Source of micrographs."""

    extend: str | None = None
    """Name of another dataset, whose keys this one inherits."""

    micrographs: Paths | None = None
    """Glob, or list of globs and paths, of MRC, TIFF, PNG or JPG files; left out for a simulation. An existing path
    is taken literally, even if it contains brackets. Files that other programs write next to micrographs, such as power
    spectra, are left out and listed unless the config gives their exact paths; docs/bad-files.md.

    Examples
    --------
        - data/*.mrc
        - [first/*.tif, second/**/*.tif]
        - [data/*.mrc, data/mic_noDW.mrc]
    """

    micrographs_from_rules: bool = False
    """Whether rules of an importing workflow make the micrographs, which need not exist yet. micrographs must then be a
    list of paths; docs/other-workflows.md."""

    simulation: SimulationSettings | None = None
    """Simulation instead of files."""

    coordinates: CoordinateSettings | None = None
    """Coordinates of known particles."""

    corrections: CorrectionChoice | None = None
    """Corrections of CRISP's picks, saved by the report page: a path or glob, or a section. The corrected micrographs
    are labelled; docs/corrections.md.

    Examples
    --------
        - corrections/*.json
        - {files: corrections.json, trust: all}
    """

    pixel_size: PixelSize
    """Pixel size of the micrographs in Å/px; takes precedence over the files' headers.

    Examples
    --------
        - 1.06
    """

    voltage_kv: Annotated[float, Field(ge=10, le=3000)] = 300.0
    """Acceleration voltage in kV."""

    spherical_aberration_mm: Annotated[float, Field(ge=0, le=20)] = 2.7
    """Spherical aberration in mm."""

    amplitude_contrast: Share = 0.1
    """Amplitude contrast (fraction)."""

    ctf: UserPath | None = None
    """RELION's micrographs_ctf.star. Particles then get its CTF and optics groups, whose voltage, spherical aberration
    and amplitude contrast take precedence over the config. If a micrograph is not in this file, no particle images are
    extracted from it; its picks are in dropped.tsv.

    Examples
    --------
        - CtfFind/job003/micrographs_ctf.star
    """

    ctf_origin: Origin | None = None
    """Row order of the images from which the CTF was estimated: top-left if they begin with the same row as the
    micrographs' files, bottom-left if they begin with the last row, which changes the sign of the astigmatism angle.
    null is top-left for MRC and bottom-left for TIFF; required if the CTF file names files of another format than the
    micrographs."""

    exposures: UserPath | None = None
    """File of exposures (.cs) that cryoSPARC exported; picks are then also written as .cs and .csg for its
    project.

    Examples
    --------
        - J5/exposures.cs
    """

    particle_diameter_angstrom: Annotated[Positive, WithJsonSchema(POSITIVE_OR_AUTO)]
    """Longest extent of the particle in Å. auto estimates it once, before the plan, with the general network, and keeps
    it in results/<dataset>/diameter.yaml; docs/sizes.md.

    Examples
    --------
        - 180
        - auto
    """

    diameter_estimated: bool = False
    """Set by CRISP where the diameter is auto: the box follows from the sizes of the first picks; docs/sizes.md."""

    preparation: PreparationSettings = PreparationSettings()
    labels: LabelSettings = LabelSettings()
    split: SplitSettings = SplitSettings()

    @model_serializer(mode="wrap")
    def _without_absent_sources(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out sources that are not given."""
        sources = ("micrographs", "simulation", "coordinates", "corrections", *PublicSource.model_fields)
        absent = [key for key in sources if getattr(self, key) is None]
        return {key: value for key, value in handler(self).items() if key not in absent}


class NetworkEntry(Entry):
    """Network that one or several datasets train; results are in results/networks/<name>/; docs/networks.md."""

    extend: str | None = None
    """Name of another network, whose keys this one inherits."""

    datasets: Names
    """Datasets whose training and validation parts the network learns from; each gives the same number of crops.

    Examples
    --------
        - [apoferritin, proteasome]
    """

    seed: Natural | None = None
    """Seed of the initial weights and of the crops; null is the seed of the config."""

    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    crf: CrfSettings = CrfSettings()
    prediction: PredictionSettings = PredictionSettings()


class ExperimentSettings(Entry):
    """Recipe that turns a dataset into particles."""

    extend: str | None = None
    """Name of another experiment, whose keys this one inherits. If the settings of both networks are equal, one network
    is trained for both."""

    seed: Natural | None = None
    """Seed of the initial weights and of the crops; null is the seed of the config."""

    trained: UserPath | None = None
    """Folder of a finished experiment, whose network, finder and threshold are used: centers.yaml, and the file that it
    names (network.pt or crf.pt). null trains a network.

    Examples
    --------
        - results/mine/unet
    """

    picker: PickerChoice | None = None
    """Another program, or files of picks, instead of CRISP's network; null is the network.

    Examples
    --------
        - {program: relion-log}
        - {files: other/*.star, origin: top-left}
    """

    network: NetworkChoice = NetworkSettings()
    """Name of an entry of `networks`, name of a network that comes with CRISP (general), path of a .pt file, or
    settings of a network for this experiment alone.

    Examples
    --------
        - general
        - results/mine/unet/network.pt
        - {pixels_per_diameter: 34}
    """

    training: TrainingSettings = TrainingSettings()
    crf: CrfSettings = CrfSettings()
    prediction: PredictionSettings = PredictionSettings()
    centers: CenterSettings = CenterSettings()
    removal: RemovalSettings = RemovalSettings()
    curation: CurationSettings = CurationSettings()
    particles: ParticleSettings = ParticleSettings()
    resolution: ResolutionSettings = ResolutionSettings()
    noise: NoiseSettings = NoiseSettings()


Run = Annotated[str, Matching(f"{NAME}/{NAME}", "is not of the form dataset/experiment; give such a pair of names")]
Row = Annotated[str, Matching(f"({NAME}/)?{NAME}", "is not an experiment; give its name, or dataset/experiment")]


class TableSettings(Section):
    """Table of experiments, repeated over seeds: results/<dataset>/tables/<name>.tsv."""

    rows: Annotated[list[Row], Field(min_length=1), UNIQUE]
    """Names of experiments; dataset/experiment for an experiment on another dataset than the table's.

    Examples
    --------
        - [unet, simulated/unet]
    """

    seeds: Annotated[list[Natural], Field(min_length=1), UNIQUE] = [1, 2, 3]
    """Seeds with which each experiment is trained."""


class ComparisonSettings(Section):
    """Comparison of pickers on one dataset: results/<dataset>/comparisons/<name>/; docs/comparison.md."""

    dataset: str
    """Name of a dataset."""

    entries: Names
    """Names of experiments, with a network or another picker.

    Examples
    --------
        - [unet, topaz, relion-log]
    """

    part: Literal["train", "validation", "test"] = "test"
    """Part of the split whose micrographs are compared."""

    consensus_at_least: Count = 2
    """Minimum number of entries that must agree on a consensus pick."""


class Config(Section):
    """Settings of a run. The unit of a length is in its name; `~` in a path is the user's home folder."""

    seed: Natural = 1
    """Seed from which every random draw derives."""

    micrographs_per_job: Count = 32
    """Number of micrographs in one job; changes no result."""

    strict: bool = False
    """Whether the run ends with an error, after all results are made, if a file was quarantined."""

    watch: Positive | None = None
    """Seconds for which the file of a new micrograph must be unchanged before it is used, for a folder into which a
    microscope still writes. null takes all files at once; docs/additions.md.

    Examples
    --------
        - 60
    """

    run: Annotated[list[Run], Field(min_length=1), UNIQUE]
    """Runs to make, as dataset/experiment.

    Examples
    --------
        - [mine/unet]
    """

    downloads: DownloadSettings = DownloadSettings()

    datasets: dict[DatasetName, DatasetSettings]
    """Sources of micrographs, by name."""

    networks: dict[Name, NetworkEntry] = {}
    """Networks of one or several datasets, by name."""

    tables: dict[Name, TableSettings] = {}
    """Tables of experiments, by name."""

    comparisons: dict[Name, ComparisonSettings] = {}
    """Comparisons of pickers, by name."""

    experiments: dict[ExperimentName, ExperimentSettings]
    """Recipes that turn a dataset into particles, by name."""
