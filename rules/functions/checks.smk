# Mistakes that are told before any job starts
import os
import shutil
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.paths import check_patterns, matching_files
from crisp_core.settings import run_folder


def check_files():
    """Refuse at once what names a file that is not there; micrographs are quarantined one by one instead."""
    for dataset in DATASETS:
        settings = config["datasets"][dataset]
        named = {
            "ctf": settings["ctf"],
            "exposures": settings["exposures"],
            "simulation/volume": volume_path(dataset),
            "labels/poses": settings["labels"]["poses"],
            "labels/map": settings["labels"]["map"],
            "labels/mask": settings["labels"]["mask"],
        }
        arriving = config["watch"] is not None
        if "micrographs" in settings:
            key = f"config, datasets/{dataset}/micrographs"
            check_patterns(
                key, settings["micrographs"], must_exist=False, may_arrive=arriving
            )
        if dataset in COORDINATES_GIVEN:
            key = f"config, datasets/{dataset}/coordinates/files"
            given = settings["coordinates"]["files"]
            check_patterns(key, given, must_exist=False, may_arrive=arriving)
            files = matching_files(given)
            unusable = [path for path in files if not os.access(path, os.R_OK)]
            named["coordinates/files"] = unusable[0] if unusable else None
            if not files:
                raise UserError(
                    f"{key}: no file matches {given}; correct the path or glob"
                )
        for key, path in named.items():
            if path is not None and not os.access(path, os.R_OK):
                cure = (
                    "cannot be read; change its permissions"
                    if Path(path).exists()
                    else "does not exist; correct the path"
                )
                raise UserError(f"config, datasets/{dataset}/{key}: {path} {cure}")


def check_experiments():
    """Refuse at once an experiment whose files of picks, or whose trained network, is not there."""
    for name in sorted({Path(run).name for run in RUNS + COMPARED_RUNS + TABLE_ROWS}):
        picker = config["experiments"][name]["picker"] or {}
        if "files" in picker:
            key = f"config, experiments/{name}/picker/files"
            check_patterns(key, picker["files"], must_exist=True)
        trained = config["experiments"][name]["trained"]
        if trained and run_folder(trained) not in RUN_FOLDERS:
            network = trained_checkpoint(Path(trained))
            for path in (network, network.with_name("centers.yaml")):
                if not path.exists():
                    raise UserError(
                        f"config, experiments/{name}/trained: {trained} holds no {path.name}; "
                        "name the folder results/<dataset>/<experiment> of a finished run, the one that "
                        "trained the network where experiments share it"
                    )


def check_output_folders():
    """Refuse at once to write where that is impossible: Snakemake itself would end with a traceback."""
    for folder in [path for path in (Path("."), Path("results")) if path.exists()]:
        if not os.access(folder, os.W_OK):
            raise UserError(
                f"{folder.absolute()}: cannot be written; make it writable, or work in another folder (--directory)"
            )
        if shutil.disk_usage(folder).free < 2**20:
            raise UserError(
                f"{folder.absolute()}: no space left on the disk; free some, and run again, which goes on from here"
            )


def check_tables():
    """Refuse at once, and not after a training, what leaves none to train on, and a CTF or exposures file of no use."""
    from crisp_core.cryosparc import match_exposures

    for dataset in DATASETS:
        settings = config["datasets"][dataset]
        if dataset in LABELLED and not batches_to_train(dataset):
            raise UserError(
                f"{places_file(dataset)}: no micrograph is left of the first run, from which the parts are drawn; "
                f"put them back, or remove this file and results/{dataset}/split to begin anew with those that are there"
            )
        if settings["ctf"] is not None:
            ctf_of(dataset)
        if settings["exposures"] is not None:
            match_exposures(settings["exposures"], micrograph_names(dataset))
