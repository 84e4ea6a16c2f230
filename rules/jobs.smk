# Kinds of jobs. `use rule run_job as pick with:` inherits what is the same in all jobs of a kind: the paths of log and benchmark,
# where the pathvar <job> is the job's own part, the environment, the memory and time that most jobs need (for Slurm too), and the
# script that `**run_script("pick")` names in params. A rule states what differs, and `localrule: True` where that is so, since
# Snakemake does not pass it on. The rules of this file make no file themselves.


rule dataset_job:
    log:
        "logs/{dataset}/<job>.log",
    benchmark:
        "results/{dataset}/performance/<job>.tsv"
    pathvars:
        job="dataset_job",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="2h",
    script:
        "../workflow_scripts/{params.script}.py"


use rule dataset_job as run_job with:
    log:
        "logs/{dataset}/{experiment}/<job>.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/<job>.tsv"
    pathvars:
        job="run_job",


use rule dataset_job as network_job with:
    log:
        "logs/{network}/<job>.log",
    benchmark:
        "results/{network}/performance/<job>.tsv"
    pathvars:
        job="network_job",


# Jobs of a second, for rules with `localrule: True`: without benchmark, memory and time.
rule local_dataset_job:
    log:
        "logs/{dataset}/<job>.log",
    pathvars:
        job="local_dataset_job",
    conda:
        "../envs/crisp.yaml"
    script:
        "../workflow_scripts/{params.script}.py"


use rule local_dataset_job as local_run_job with:
    log:
        "logs/{dataset}/{experiment}/<job>.log",
    pathvars:
        job="local_run_job",


use rule local_dataset_job as local_network_job with:
    log:
        "logs/{network}/<job>.log",
    pathvars:
        job="local_network_job",
