# Other pickers and comparisons
from pathlib import Path

from crisp_core.settings import picker_name


def picks_quarantine(wildcards):
    """Tables of the refused files of picks of the experiments that run on a dataset."""
    return [
        f"results/{run}/quarantine.tsv"
        for run in RUNS
        if Path(run).parent.name == wildcards.dataset
        and picker_name(config["experiments"][Path(run).name]) == "files"
    ]


def picked_files(wildcards):
    """Input function: the files from which an experiment's picks are read."""
    return matching_files(
        config["experiments"][wildcards.experiment]["picker"]["files"]
    )


def listed_picks(wildcards):
    """Input function: the files that lists among an experiment's files of picks name."""
    return followed_lists(picked_files(wildcards))


def picker_keys(*keys):
    """Params function: settings of an experiment's picker, those of them that its program has."""

    def settings(wildcards):
        picker = config["experiments"][wildcards.experiment]["picker"]
        return {key: picker[key] for key in keys if key in picker}

    return settings


def training_keys(wildcards):
    """Settings of an experiment's picker on which its training depends."""
    picker = config["experiments"][wildcards.experiment]["picker"]
    later = ("threshold", "leak", "radius_diameters")
    return {key: value for key, value in picker.items() if key not in later}


def topaz_detector(wildcards):
    """Input function: the detector that Topaz trains; nothing for one that comes with Topaz."""
    picker = config["experiments"][wildcards.experiment]["picker"]
    own = f"results/{wildcards.dataset}/{wildcards.experiment}/detector.sav"
    return [own] if picker["program"] == "topaz" else []


def found_pattern(experiment):
    """What another picker found in a batch, or for picks from files in all of them."""
    kind = picker_name(config["experiments"][experiment])
    if kind == "files":
        return "results/{dataset}/{experiment}/imported.star"
    return f"results/{{dataset}}/{{experiment}}/found/{kind.removesuffix('-pretrained')}/{{batch}}.star"


def found_picks(wildcards):
    """Input function: what another picker found in a batch."""
    return found_pattern(wildcards.experiment)


def all_found(wildcards):
    """Input function: all that another picker found."""
    return sorted(set(all_batches(found_pattern(wildcards.experiment))(wildcards)))


def names_of(dataset, experiment):
    """Table of the micrographs that files of picks name; programs see all."""
    files = picker_name(config["experiments"][experiment]) == "files"
    return [f"results/{dataset}/{experiment}/picked_names.tsv"] if files else []


def picked_names(wildcards):
    """Input function: table of the micrographs that an experiment's files of picks name."""
    return names_of(wildcards.dataset, wildcards.experiment)


def chosen_threshold(wildcards):
    """Input function: the threshold of another picker, where it is chosen on the validation part."""
    threshold = config["experiments"][wildcards.experiment]["picker"]["threshold"]
    own = f"results/{wildcards.dataset}/{wildcards.experiment}/threshold.yaml"
    return [own] if threshold is None else []


def compared_entries(wildcards):
    """Experiments of a comparison."""
    return config["comparisons"][wildcards.comparison]["entries"]


def compared_stars(kind):
    """Input function: picks or candidates of all entries, batch by batch."""

    def files(wildcards):
        return collect(
            "results/{dataset}/{experiment}/{kind}/{batch}.star",
            dataset=wildcards.dataset,
            experiment=compared_entries(wildcards),
            kind=kind,
            batch=dataset_batches(wildcards.dataset),
        )

    return files


def compared_names(wildcards):
    """Input function: which micrographs the files of those entries name whose picks come from files."""
    entries = compared_entries(wildcards)
    return [path for entry in entries for path in names_of(wildcards.dataset, entry)]


def entry_facts(wildcards):
    """What the config says of the entries of a comparison: kind, leak, and where the threshold comes from."""
    facts = {}
    for entry in compared_entries(wildcards):
        experiment = config["experiments"][entry]
        if experiment["picker"]:
            threshold = experiment["picker"]["threshold"]
            leak = experiment["picker"]["leak"]
        else:
            threshold = experiment["centers"]["threshold"]
            # an earlier run may have had other parts
            own, _ = trained_run(wildcards.dataset, entry)
            leak = "unknown" if own is None else False
        facts[entry] = {
            "kind": picker_name(experiment) or "network",
            "leak": {True: "yes", False: "no"}.get(leak, leak),
            "threshold_from": "validation" if threshold is None else str(threshold),
        }
    return facts


def entry_jobs(wildcards):
    """Folders and rules whose times are the cost of training and of picking, for each entry of a comparison."""
    jobs = {}
    for entry in compared_entries(wildcards):
        own = f"results/{wildcards.dataset}/{entry}"
        kind = picker_name(config["experiments"][entry])
        if kind is None:
            first = Path(first_network(wildcards.dataset, entry))
            last = Path(predictor(wildcards.dataset, entry))
            training = [(first.parent.as_posix(), "train")]
            if last.name == "crf.pt":
                training.append((last.parent.as_posix(), "train_crf"))
            picking = [(own, "predict"), (own, "pick")]
        else:
            rule_name = f"pick_{kind.removesuffix('-pretrained').replace('-', '_')}"
            training = [(own, "train_topaz")]
            picking = [(own, rule_name)]
        jobs[entry] = {"training": training, "picking": picking}
    return jobs
