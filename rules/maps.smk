rule probability_maps:
    input:
        probability=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/probability/{batch}.h5",
        ),
    output:
        directory("results/{dataset}/{experiment}/maps"),
    log:
        "logs/{dataset}/{experiment}/probability_maps.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        code=core_digest("probability_maps"),
    script:
        "../workflow_scripts/probability_maps.py"


rule label_maps:
    input:
        labels=ask(micrographs.all_batches, "results/{dataset}/labels/{batch}.h5"),
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        directory("results/{dataset}/label_maps"),
    log:
        "logs/{dataset}/label_maps.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        code=core_digest("label_maps"),
    script:
        "../workflow_scripts/label_maps.py"
