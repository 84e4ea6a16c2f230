from snakemake.utils import min_version

min_version("9.25")


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
include: "rules/extract.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"


rule all:
    default_target: True
    input:
        RESULTS,
        "report.html",
    localrule: True


rule report:
    input:
        RESULTS,
    output:
        "report.html",
    log:
        "logs/report.log",
    localrule: True
    conda:
        "envs/crisp.yaml"
    params:
        config=given_config,
        targets=RESULTS,
    script:
        "workflow_scripts/report.py"


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
        collect("results/{run}/autopick.star", run=RUNS),
    localrule: True


rule particles:
    input:
        PARTICLES,
    localrule: True
