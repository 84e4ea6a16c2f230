from snakemake.utils import min_version

min_version("9.25")


# config.yaml is read only if no config file and no `--config` describes a run. Other configs are not merged with it.
if not workflow.overwrite_configfiles and not config.keys() & {"micrographs", "diameter_angstrom", "pixel_size"}:

    configfile: workflow.source_path("config.yaml")


report: "rules/report/workflow.rst"


# A GPU limit is meant per machine: it must not throttle submission to a cluster.
resource_scopes:
    gpu="local",


include: "rules/common.smk"
include: "rules/jobs.smk"
include: "rules/simulate.smk"
include: "rules/prepare.smk"
include: "rules/reconstruct.smk"
include: "rules/label.smk"
include: "rules/train.smk"
include: "rules/crf.smk"
include: "rules/predict.smk"
include: "rules/centers.smk"
include: "rules/pickers.smk"
include: "rules/curate.smk"
include: "rules/extract.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/compare.smk"
include: "rules/resolution.smk"
include: "rules/noise.smk"
include: "rules/suggest.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        targets.results(PLAN),
        targets.reports(PLAN),
        targets.strict(PLAN),
    localrule: True


rule labels:
    input:
        targets.labels(PLAN),
    localrule: True


rule train_networks:
    input:
        targets.networks(PLAN),
    localrule: True


rule picks:
    input:
        targets.picks(PLAN),
    localrule: True


rule particles:
    input:
        targets.picks(PLAN),
        targets.particles(PLAN),
    localrule: True


rule compare:
    input:
        targets.comparisons(PLAN),
    localrule: True


rule maps:
    input:
        targets.maps(PLAN),
    localrule: True


rule resolution:
    input:
        ask(targets.resolutions),
    localrule: True


rule noise:
    input:
        targets.noise(PLAN),
    localrule: True


rule suggest:
    input:
        targets.suggestions(PLAN),
    localrule: True


rule annotate:
    input:
        ask(targets.annotations),
    localrule: True
