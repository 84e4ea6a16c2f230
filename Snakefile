from snakemake.utils import min_version

min_version("9.25")


# The default run, which is no base for others: a config file says all that it does not leave to the schema's defaults.
if not workflow.overwrite_configfiles:

    configfile: workflow.source_path("config.yaml")


report: "rules/report/workflow.rst"


# A GPU limit is meant per machine: it must not throttle submission to a cluster.
resource_scopes:
    gpu="local",


include: "rules/common.smk"
include: "rules/simulate.smk"
include: "rules/prepare.smk"
include: "rules/reconstruct.smk"
include: "rules/label.smk"
include: "rules/train.smk"
include: "rules/crf.smk"
include: "rules/predict.smk"
include: "rules/centers.smk"
include: "rules/pickers.smk"
include: "rules/extract.smk"
include: "rules/maps.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/compare.smk"
include: "rules/resolution.smk"
include: "rules/noise.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        RESULTS,
        REPORTS,
        STRICT,
    localrule: True


rule labels:
    input:
        LABELS,
    localrule: True


rule train_networks:
    input:
        collect("results/{run}/network.pt", run=TRAINED_HERE),
        CHECKPOINTS,
    localrule: True


rule picks:
    input:
        PICKS,
    localrule: True


rule particles:
    input:
        PICKS,
        PARTICLES,
    localrule: True


rule compare:
    input:
        COMPARISONS,
    localrule: True


rule maps:
    input:
        MAPS,
    localrule: True


rule resolution:
    input:
        resolution_results,
    localrule: True


rule noise:
    input:
        collect("results/{run}/noise/spectra.png", run=NETWORK_RUNS),
    localrule: True
