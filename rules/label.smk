rule label_simulated:
    input:
        simulation="results/{dataset}/simulation/{batch}.h5",
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=one_of(SIMULATED),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        threshold=lookup("datasets/{dataset}/simulation/threshold", within=config),
        code=core_digest("label_simulated"),
    script:
        "../workflow_scripts/label_simulated.py"


rule label_disc:
    input:
        coordinates="results/{dataset}/coordinates.star",
        names="results/{dataset}/coordinate_names.tsv",
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=one_of(COORDINATES_GIVEN),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        radius_angstrom=disc_radius_angstrom,
        code=core_digest("label_disc"),
    script:
        "../workflow_scripts/label_disc.py"
