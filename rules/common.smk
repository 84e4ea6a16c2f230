import importlib.util
import inspect
import os
import re
import sys
from pathlib import Path

# the folder of this workflow, also where another Snakefile imports it as a module; no folder if it comes from the web
ROOT = Path(str(workflow.current_basedir)).parent
if (ROOT / "crisp_core").is_dir():
    sys.path.insert(0, str(ROOT))
elif importlib.util.find_spec("crisp_core") is None:
    sys.exit(f"error: {ROOT}: needs the package crisp_core of CRISP; install it with pip into Snakemake's environment")

from crisp_core.code_digest import code_digest, files_digest
from crisp_core.errors import UserError
from crisp_core.installation import PACKAGE, check_same_workflow, workflow_folder
from crisp_core.plan import (
    batches,
    corrections,
    ctf_files,
    curation,
    datasets,
    digests,
    experiments,
    micrographs,
    networks,
    pickers,
    reports,
    resolution,
    shipped,
    starts,
    tables,
    targets,
    zoo,
)
from crisp_core.plan.checks import check_plan
from crisp_core.settings.config_files import check_config_files
from crisp_core.settings.unknown_diameters import with_diameters
from crisp_core.script_path import add_to_python_path
from crisp_core.settings.checks import check_settings
from crisp_core.settings.command_line import describes_run, with_command_line
from crisp_core.settings.public_data import with_public_data
from crisp_core.waiting import wait_asleep


def or_exit(function, *arguments, **options):
    """Result of a function; a mistake of the user ends the run with its one line."""
    try:
        return function(*arguments, **options)
    except UserError as error:
        sys.exit(f"error: {error}")


def answer(question, arguments):
    """What the plan answers a question, as a function of the wildcards that it takes."""
    taken = inspect.signature(question).parameters

    def of_wildcards(wildcards):
        known = {key: value for key, value in wildcards.items() if key in taken}
        return or_exit(question, PLAN, *arguments, **known)

    return of_wildcards


def setting(place):
    """Value of the config at a place, such as experiments/{experiment}/noise, as a function of the wildcards.

    Snakemake's `lookup` walks through the whole config for every job.
    """
    keys, settings = place.split("/"), config

    def of_wildcards(wildcards):
        value, known = settings, dict(wildcards.items())
        for key in keys:
            value = value[key.format(**known)]
        return value

    return of_wildcards


def ask(question, *arguments):
    """Input function: files that the plan names."""
    files = answer(question, arguments)
    # a module's prefix is for results alone
    return (lambda wildcards: with_local(files(wildcards))) if PREFIX else files


def ask_value(question, *arguments):
    """Params function: the plan's answer; in a module, with the prefix before paths of results."""
    value = answer(question, arguments)
    return (lambda wildcards: PLAN.with_prefix(value(wildcards))) if PREFIX else value


def ask_states(question, *arguments, rules_may_make=False):
    """Params function: size and time of the user's files that the plan names.

    Snakemake ignores changes of parameters that are functions of `input`. With `rules_may_make`, rules of an importing
    workflow may make these files.
    """
    files = answer(question, arguments)
    return lambda wildcards: datasets.user_states(
        PLAN, files(wildcards), dataset=wildcards.dataset if rules_may_make else None
    )


def below_prefix(path):
    """Path of a result in a parameter, which Snakemake leaves without the prefix of a module."""
    return f"{PREFIX}{path}"


def with_local(files):
    """The user's files as they are, which Snakemake would look for below the prefix of a module."""
    if isinstance(files, dict):
        return {key: with_local(value) for key, value in files.items()}
    if not isinstance(files, str):
        return [with_local(path) for path in files]
    return files if PLAN.makes(files) else local(files)


def one_of(names):
    """Wildcard constraint: one of the names; no name at all matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def core_digest(script):
    """Digest of the crisp_core modules that a script imports: a rule reruns when one of them changes, and only then."""
    return code_digest(ROOT / "workflow_scripts" / f"{script}.py", package=PACKAGE)


def run_script(name, code=None):
    """Parameters of a rule whose kind (jobs.smk) runs the script workflow_scripts/<name>.py; `code` is its digest."""
    return {"script": name, "code": code or core_digest(name)}


# the wildcards of a result name its subject in Snakemake's own report
SUBJECTS = {
    "network": "{network}",
    "comparison": "{dataset}: {comparison}",
    "table": "{dataset}: {table}",
    "experiment": "{dataset}/{experiment}",
    "dataset": "{dataset}",
}


def shown(path, caption, category, **labels):
    """Result that Snakemake's own report shows, with a caption of rules/report and a label that names its subject."""
    subject = next(name for name in SUBJECTS if f"{{{name}}}" in path)
    labels = {subject: SUBJECTS[subject]} | labels
    return report(path, caption=f"report/{caption}.rst", category=category, labels=labels)


if workflow.is_main_process:
    or_exit(check_same_workflow, ROOT, lambda name: workflow.source_path(f"../{name}"))
ROOT = or_exit(workflow_folder)
# scripts inherit both, on a cluster from the job's own Snakemake; an installed package is found without
if ROOT == PACKAGE.parent:
    add_to_python_path(os.environ, ROOT)
elif "CONDA" in [method.name for method in workflow.deployment_settings.deployment_method]:
    sys.exit(f"error: --sdm conda: needs CRISP from a copy of its repository, but {PACKAGE} is installed; leave it out")
wait_asleep(os.environ)
# where another Snakefile imports this one with `prefix:`, its results are below that
PREFIX = workflow.modifier.path_modifier.prefix or ""
# where another Snakefile imports this one, the files are that one's own
if workflow.is_main_process and not PREFIX:
    or_exit(check_config_files, workflow.overwrite_configfiles)
IS_COMMAND_LINE = describes_run(config)
config = or_exit(with_command_line, config, is_main=workflow.is_main_process)
# the names of the micrographs are known once the data are downloaded
config = or_exit(with_public_data, config)
# the working pixel size of every job follows from the diameter
config = or_exit(with_diameters, config, prefix=PREFIX, is_main=workflow.is_main_process)
SETTINGS = or_exit(check_settings, config)
# rules take plain values
config = SETTINGS.plain()
PLAN = or_exit(micrographs.make_plan, SETTINGS, is_main=workflow.is_main_process, prefix=PREFIX)
# main process only: a job must not fail because another file changed meanwhile
if workflow.is_main_process:
    or_exit(check_plan, PLAN)

# how this call was made, which the report shows; no parameter, so that two configs with the same run share its page
config["call"] = {
    "configfiles": [str(path) for path in workflow.overwrite_configfiles],
    "default_config": None if IS_COMMAND_LINE else str(ROOT / "config.yaml"),
    "overrides": dict(workflow.config_settings.config),
}


wildcard_constraints:
    dataset=one_of(PLAN.datasets),
    network=one_of(networks.trainable(PLAN)),
    run=one_of(PLAN.runs),
    experiment=one_of(config["experiments"]),
    table="[A-Za-z0-9_-]+",
    comparison="[A-Za-z0-9_-]+",
    batch=r"\d{4}\d*",
    addition=r"\d+",


# Snakemake calls onstart only if jobs run, not in a dry run
onstart:
    micrographs.record(PLAN)
