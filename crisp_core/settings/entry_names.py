"""Names of datasets and experiments, which are folders of results."""

from typing import Annotated

from pydantic import AfterValidator

from crisp_core.sections import Name, mistake

# folders that every dataset has, and the folder of the networks' results
FOLDERS_OF_DATASETS = (
    *("comparisons", "converted", "coordinates", "ctf", "images", "label_maps", "labels", "micrographs", "performance"),
    *("quarantine", "reconstruction", "simulation", "split", "tables"),
)
FOLDER_OF_NETWORKS = "networks"


def _other_name(taken: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        """Refuse a name that is taken."""
        if name in taken:
            raise mistake(f"{name} is the name of a folder of results; rename it")
        return name

    return AfterValidator(check)


DatasetName = Annotated[Name, _other_name((FOLDER_OF_NETWORKS,))]
ExperimentName = Annotated[Name, _other_name(FOLDERS_OF_DATASETS)]
