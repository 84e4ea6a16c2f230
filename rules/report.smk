# templates, styles and scripts of the pages
TEMPLATES = sorted(path for path in (PACKAGE / "report").iterdir() if path.suffix in (".html", ".css", ".js"))


use rule run_job as report_data with:
    input:
        unpack(ask(reports.report_input)),
        micrographs="results/{dataset}/micrographs.tsv",
        quarantine="results/{dataset}/quarantine.tsv",
        run_quarantine="results/{dataset}/{experiment}/quarantine.tsv",
        notices="results/{dataset}/notices.tsv",
        left_out="results/{dataset}/left_out.tsv",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        candidates=ask(batches.all_batches, "results/{dataset}/{experiment}/candidates/{batch}.star"),
        dropped="results/{dataset}/{experiment}/dropped.tsv",
        plots=ask(reports.report_plots),
        names=ask(pickers.picked_names),
    output:
        data="results/{dataset}/{experiment}/report.json",
    pathvars:
        job="report_data",
    wildcard_constraints:
        dataset=one_of(reports.without_previews(PLAN)),
    params:
        **run_script("report_data"),
        dataset=ask_value(datasets.dataset_sizes),
        threshold=ask_value(pickers.given_threshold),
        n_previews=ask_value(reports.n_previews),
        suggested=ask_value(reports.suggested_names),


# for pages that would be too large as single files; Snakemake reruns a file for another rule only if all outputs are equal
use rule report_data as report_data_with_previews with:
    output:
        data="results/{dataset}/{experiment}/report_large.json",
        previews=directory(f"results/{{dataset}}/{{experiment}}/{reports.PREVIEWS}"),
    wildcard_constraints:
        dataset=one_of(reports.with_previews(PLAN)),


rule report_page:
    input:
        data=ask(reports.page_data),
        previews=ask(reports.page_previews),
    output:
        page="results/{run}/report.html",
        entry="results/{run}/report_entry.json",
    log:
        "logs/{run}/report_page.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        run=ask_value(reports.report_run),
        extra=ask_value(reports.extra_results),
        template=files_digest(TEMPLATES),
        code=core_digest("report_page"),
    script:
        "../workflow_scripts/report_page.py"


use rule dataset_job as annotation_page with:
    input:
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        # its job ends the run if no micrograph can be read
        micrographs="results/{dataset}/micrographs.tsv",
    output:
        f"results/{{dataset}}/{corrections.ANNOTATION}/report.html",
    pathvars:
        job="annotation_page",
    wildcard_constraints:
        dataset=one_of(reports.annotated(PLAN)),
    params:
        **run_script("annotation_page"),
        run=f"{{dataset}}/{corrections.ANNOTATION}",
        dataset=ask_value(datasets.dataset_sizes),
        n_micrographs=ask_value(reports.n_previews),
        marked=ask_value(corrections.corrected_names),
        template=files_digest(TEMPLATES),


rule report_index:
    input:
        entries=ask(reports.listed_entries),
    output:
        "results/report.html",
    log:
        "logs/report_index.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        shared=ask_value(reports.shared_results),
        template=files_digest(TEMPLATES),
        code=core_digest("report_index"),
    script:
        "../workflow_scripts/report_index.py"
