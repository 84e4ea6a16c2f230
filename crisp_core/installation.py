"""Folder of the workflow: Snakefile, rules and scripts, which are not Python modules.

In a copy of the repository it is the folder of the package `crisp_core`; `pip install` puts it into share/crisp.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from crisp_core.errors import UserError

PACKAGE = Path(__file__).parent
SHARE = Path("share/crisp")


def snakefile() -> str:
    """Path of CRISP's Snakefile, for `snakefile:` in another workflow and for the option of that name."""
    return str(workflow_folder() / "Snakefile")


@cache
def workflow_folder() -> Path:
    """Folder of the Snakefile that belongs to this package.

    Raises
    ------
    UserError
        If CRISP was installed without it.
    """
    # pip --target puts share/ into the folder of the packages; otherwise it is beside lib/, in which they are
    installed = [folder / SHARE for folder in PACKAGE.parents]
    found = next((folder for folder in [PACKAGE.parent, *installed] if (folder / "workflow_scripts").is_dir()), None)
    if found is None:
        raise UserError(f"{PACKAGE}: was installed without its workflow; install CRISP with pip from its repository")
    return found


def workflow_files() -> Iterator[str]:
    """Files of the workflow, relative to its folder."""
    folder = workflow_folder()
    for pattern in ("Snakefile", "rules/*.smk", "workflow_scripts/*.py"):
        yield from sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))


def check_same_workflow(folder: Path, find: Callable[[str], str]) -> None:
    """Refuse to run rules of one version of CRISP with a package of another.

    Parameters
    ----------
    folder : Path
        Folder of the Snakefile that is running.
    find : callable
        Returns the path of a running workflow's file, given its path relative to the Snakefile.
    """
    if folder == workflow_folder():
        return
    for name in workflow_files():
        # Snakemake takes files from git without their last line break
        if Path(find(name)).read_text().rstrip() != (workflow_folder() / name).read_text().rstrip():
            raise UserError(
                f"{name}: the module is of another version of CRISP than the installed package {PACKAGE}; install the "
                "module's version with pip, or import the installed one (snakefile: crisp_core.snakefile())"
            )
