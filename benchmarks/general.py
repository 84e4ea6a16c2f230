"""Numbers of the general network, beside other programs: `python benchmarks/general.py FOLDER --network NETWORK.pt`.

Every part can be made by itself (`--parts empiar-10017 masks`), writes its table to FOLDER/scores when it has it, and
keeps the candidates of every picker in FOLDER/candidates: an interrupted run goes on, and a new network remakes its own
rows only. FOLDER/general.md has all tables; `--parts tables` writes it from finished parts. Several networks
(`--network a.pt b.pt c.pt`, such as the seeds) are a row each. Without `--network` the rows of other programs are made.

One scorer for all: one-to-one matches within half a particle diameter. Thresholds are fixed before any test micrograph
is seen: that of --centers, or the one of best F1 on the validation proteins of examples/general.yaml;
"its own" thresholds of other programs are those that they have by default. docs/general-numbers.md explains the tests.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from general_diameters import SETS_TO_ESTIMATE, diameter_rows
from general_entries import Entry, Network, candidates, digest_of, network_source, program_entries, with_picks
from general_masks import junk_scores
from general_pictures import draw_sheet
from general_sets import SETS, TestSet
from general_tables import (
    GOALS,
    chosen_threshold,
    goals_table,
    group_rows,
    markdown,
    row_of,
    scores,
    set_section,
    write_atomically,
)

from crisp_core.evaluation.scores import pool_scores
from crisp_core.formats.images import read_micrograph
from crisp_core.picking.finders import DEFAULT, chosen_finder
from crisp_core.picking.search import pick_settings
from crisp_core.segmentation.shipped import SHIPPED_NETWORKS, network_file, shipped_centers

VALIDATION = "validation"
TITLES = {
    "empiar-10017": "EMPIAR-10017, β-galactosidase, 12 micrographs",
    "empiar-10017-published": "EMPIAR-10017, the four micrographs with the most published picks",
    "empiar-10146": "EMPIAR-10146, apoferritin, 7 micrographs",
    "proteins": "12 simulated proteins, SNR as in EMPIAR-10146",
    "proteins-half-snr": "12 simulated proteins, half of that SNR",
    "micassess": "MicAssess, nine micrographs without particles",
}
PARTS = (
    *("empiar-10017", "empiar-10146", "proteins", "proteins-half-snr", "micassess"),
    *("centers", "masks", "diameters", "speed", "pictures"),
)
REPEATS = 7


def networks_of(given: argparse.Namespace) -> list[Network]:
    """Load the networks, with finder and threshold of the centers file."""
    if not given.network:
        return []
    import torch

    from crisp_core.segmentation.networks import load_network

    torch.set_num_threads(2)
    named = [f"CRISP general{f', {i}' if len(given.network) > 1 else ''}" for i in range(1, len(given.network) + 1)]
    found = []
    for name, network in zip(named, given.network, strict=True):
        path, centers = Path(network_file(network)), centers_of(network, given.centers)
        digest = digest_of(path, centers["finder"], given.turns)
        trained = load_network(path)
        found.append(Network(name, digest, trained, centers["finder"], centers["threshold"], given.turns))
    return found


def centers_of(network: str, given: Path | None) -> dict[str, Any]:
    """Finder and threshold of a network: of a file, of the shipped network, or the default finder and no threshold."""
    if given is None and network not in SHIPPED_NETWORKS:
        return {"finder": DEFAULT, "threshold": None}
    return yaml.safe_load((given or shipped_centers(network)).read_text())


def entries_of(given: argparse.Namespace, networks: Sequence[Network]) -> list[Entry]:
    """Rows of the tables: networks, then other programs."""
    own = [Entry(network.name, network_source(network, given.folder), network.threshold) for network in networks]
    return own + [entry for entry in program_entries() if given.programs is None or entry.source.name in given.programs]


def threshold_of(entry: Entry, folder: Path) -> float:
    """Threshold of an entry; where the validation proteins decide, it is kept with its scores there."""
    if isinstance(entry.threshold, float):
        return entry.threshold
    if entry.threshold == "published":
        return -math.inf
    path = folder / "thresholds" / f"{entry.source.name}.json"
    if not path.exists():
        test = SETS[VALIDATION](folder)
        chosen = chosen_threshold(test, candidates(entry.source, test, folder))
        write_atomically(path, json.dumps({"entry": entry.name, **chosen}))
    return float(json.loads(path.read_text())["threshold"])


def write_centers(networks: Sequence[Network], folder: Path) -> None:
    """Write the threshold and the calibration of every network on the validation proteins: `centers-<digest>.yaml`.

    `python -m crisp_core.segmentation.shipped add` installs them with the network.
    """
    test = SETS[VALIDATION](folder)
    for network in networks:
        scored = scores(test, candidates(network_source(network, folder), test, folder))
        chosen = pick_settings(chosen_finder(network.finder), pool_scores(list(scored.values())))
        write_atomically(folder / f"centers-{network.digest}.yaml", yaml.safe_dump(chosen, sort_keys=False))
        print(f"centers: {network.name}: threshold {chosen['threshold']:.3f}", flush=True)


def score_set(name: str, entries: Sequence[Entry], folder: Path) -> None:
    """Pick and score a test set; its tables are written after every entry."""
    test, rows, groups = SETS[name](folder), [], []
    for entry in entries:
        seen = with_picks(entry, test)
        if seen.micrographs.empty:
            continue
        found, threshold = candidates(entry.source, seen, folder), threshold_of(entry, folder)
        facts = {"entry": entry.name, "source": entry.source.name, "leak": entry.leak}
        rows.append(facts | row_of(seen, found, threshold))
        groups.append(group_rows(seen, found, threshold).assign(entry=entry.name, source=entry.source.name))
        write_rows(folder / "scores" / f"{name}.tsv", pd.DataFrame(rows))
        write_rows(folder / "scores" / f"{name}-groups.tsv", pd.concat(groups))
        print(f"{name}: {entry.name}: F1 {rows[-1]['f1']:.3f}, best {rows[-1]['best_f1']:.3f}", flush=True)


def score_published(entries: Sequence[Entry], folder: Path) -> None:
    """Score all entries on the micrographs of EMPIAR-10017 with the picks of most published pickers."""
    whole, rows = SETS["empiar-10017"](folder), []
    crowd = [entry for entry in program_entries() if entry.files == "crYOLO"]
    test = with_picks(crowd[0], whole)
    for entry in entries:
        seen = with_picks(entry, test)
        if len(seen.micrographs) == len(test.micrographs):
            threshold, found = threshold_of(entry, folder), candidates(entry.source, seen, folder)
            facts = {"entry": entry.name, "source": entry.source.name, "leak": entry.leak}
            rows.append(facts | row_of(seen, found, threshold))
    write_rows(folder / "scores/empiar-10017-published.tsv", pd.DataFrame(rows))


def write_rows(path: Path, new: pd.DataFrame) -> None:
    """Write rows; earlier ones of other sources stay."""
    if path.exists():
        old = pd.read_csv(path, sep="\t")
        new = pd.concat([new, old[~old["source"].isin(new["source"])]])
    write_atomically(path, new.to_csv(sep="\t", index=False, float_format="%.5g"))


def measure_diameters(networks: Sequence[Network], folder: Path) -> None:
    """Estimate the diameters of all sets; the table is written after every estimate."""
    rows = []
    for network in networks:
        for row in diameter_rows(network, (SETS[name](folder) for name in SETS_TO_ESTIMATE)):
            print(f"diameters: {row}", flush=True)
            rows.append(row)
            write_rows(folder / "scores/diameters.tsv", pd.DataFrame(rows))


def measure_speed(networks: Sequence[Network], folder: Path) -> None:
    """Seconds of the stages for a micrograph of 4096² on two cores, start-up and reading excluded."""
    from crisp_core import pipeline

    row = SETS["empiar-10017"](folder).micrographs.iloc[0]
    image = read_micrograph(row["path"], pixel_size=row["pixel_size"]).image
    rows = []
    for network in networks:
        facts, diameter = network.trained.facts, float(row["diameter_angstrom"])
        options: dict[str, Any] = {"diameter_angstrom": diameter, "finder": network.finder, "turns": network.turns}
        times: dict[str, list[float]] = {"preparation": [], "prediction and picking": []}
        for _ in range(REPEATS):
            begin = time.perf_counter()
            pipeline.prepared_for(facts.input, image.astype("float32"), row["pixel_size"], diameter)
            middle = time.perf_counter()
            pipeline.pick_micrograph(image, row["pixel_size"], network.trained, **options)
            times["preparation"].append(middle - begin)
            # this call prepares, too
            times["prediction and picking"].append(time.perf_counter() - middle - (middle - begin))
        facts_of = {"entry": network.name, "source": network.digest, "load": os.getloadavg()[0]}
        # the first has the start of the libraries
        rows += [
            {**facts_of, "stage": stage, "least_s": min(each[1:]), "median_s": statistics.median(each[1:])}
            for stage, each in times.items()
        ]
    write_atomically(folder / "scores/speed.tsv", pd.DataFrame(rows).to_csv(sep="\t", index=False))


def draw_sheets(networks: Sequence[Network], folder: Path) -> None:
    """Contact sheets of the first network: micrograph, map and picks of every micrograph of the real sets."""
    for name in ("empiar-10017", "empiar-10146", "micassess"):
        entry = Entry(networks[0].name, network_source(networks[0], folder), networks[0].threshold)
        test: TestSet = SETS[name](folder)
        found, threshold = candidates(entry.source, test, folder), threshold_of(entry, folder)
        draw_sheet(folder / "pictures" / f"{name}.jpg", test, found[found["score"] >= threshold], networks[0], folder)


def measures(folder: Path, entries: Sequence[Entry]) -> dict[tuple[str, str], list[float]]:
    """Measures of the table of goals, in the order of the networks."""
    found: dict[tuple[str, str], list[float]] = {}
    sources = [entry.source.name for entry in entries if entry.source.name.startswith("crisp-")]
    for name, measure, *_ in GOALS:
        path = folder / "scores" / f"{name}{'-groups' if measure == 'empty_picks' else ''}.tsv"
        if not path.exists():
            continue
        table = pd.read_csv(path, sep="\t")
        for source in sources:
            rows = table[table["source"] == source]
            if measure == "empty_picks":
                rows = rows[~rows["group"].str.startswith("4")]
                found.setdefault((name, measure), []).append(rows["picks_per_micrograph"].mean())
            elif len(rows):
                found.setdefault((name, measure), []).append(rows.iloc[0][measure])
    return found


def report(folder: Path, networks: Sequence[Network]) -> str:
    """All tables that exist, as Markdown: of these networks, and of all other programs that were run."""
    own = [Entry(network.name, network_source(network, folder), None) for network in networks]
    entries = [*own, *program_entries()]
    sources = [entry.source.name for entry in entries]
    sections, order = [], {entry.name: i for i, entry in enumerate(entries)}
    for name, title in TITLES.items():
        path = folder / "scores" / f"{name}.tsv"
        if path.exists() and name != "micassess":
            table = rows_of(path, sources)
            sections.append(set_section(title, table.sort_values("entry", key=lambda each: each.map(order))))
    for name, title in TITLES.items():
        path = folder / "scores" / f"{name}-groups.tsv"
        if path.exists() and name.startswith(("proteins", "micassess")):
            sections.append(groups_section(title, rows_of(path, sources), entries, name))
    more = [speed_row(folder)] if (folder / "scores/speed.tsv").exists() else []
    goals = goals_table(measures(folder, entries), more)
    masks = folder / "scores/masks.tsv"
    if masks.exists():
        table = pd.read_csv(masks, sep="\t")
        sections.append("### Classes of pixels\n\n" + markdown(table.to_dict("records"), {c: c for c in table}))
    diameters = folder / "scores/diameters.tsv"
    if diameters.exists():
        table = rows_of(diameters, [network.digest for network in networks]).drop(columns="source")
        sections.append("### Diameter not given\n\n" + markdown(table.to_dict("records"), {c: c for c in table}))
    return "\n\n".join([goals, *sections]) + "\n"


def rows_of(path: Path, sources: Sequence[str]) -> pd.DataFrame:
    """Rows of some sources; a file also keeps those of networks that were run before, some with the same name."""
    table = pd.read_csv(path, sep="\t")
    return table[table["source"].isin(sources)]


def groups_section(title: str, table: pd.DataFrame, entries: Sequence[Entry], name: str) -> str:
    """Table with a row per protein or kind of micrograph and a column per entry."""
    value = "picks_per_micrograph" if name == "micassess" else "f1"
    names = [entry.name for entry in entries if entry.source.name in set(table["source"])]
    wide = table.pivot_table(index=["group", "diameter_angstrom"], columns="entry", values=value, sort=False)
    rows = wide[[name for name in names if name in wide]].reset_index().to_dict("records")
    columns = {"group": "group", "diameter_angstrom": "Å"} | {name: name for name in names}
    return f"### {title}: {value.replace('_', ' ')}\n\n" + markdown(rows, columns)


def speed_row(folder: Path) -> list[str]:
    """Row of the table of goals."""
    table = pd.read_csv(folder / "scores/speed.tsv", sep="\t")
    picking = table[table["stage"] == "prediction and picking"]
    values = ", ".join(f"{value:.2f}" for value in picking["median_s"])
    title = "prediction and picking of a 4096² micrograph on 2 cores, start-up excluded: s"
    return [title, "≤ 3", "1.5", values]


def main() -> None:
    """Make the parts that were asked for, and write the tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--network", nargs="+", default=[], help="checkpoints, or general; a row each")
    arguments.add_argument("--centers", type=Path, help="centers.yaml: finder and threshold")
    arguments.add_argument("--turns", action="store_true", help="average over quarter turns")
    arguments.add_argument("--parts", nargs="+", choices=[*PARTS, "tables"], default=PARTS)
    arguments.add_argument("--programs", nargs="*", help="names of candidates/<set>; all other programs by default")
    given = arguments.parse_args()
    networks = networks_of(given)
    entries = entries_of(given, networks)
    for part in given.parts:
        if part in SETS:
            score_set(part, entries, given.folder)
        if part == "empiar-10017":
            score_published(entries, given.folder)
        if networks and part == "centers":
            write_centers(networks, given.folder)
        if networks and part == "masks":
            table = junk_scores(networks, SETS["empiar-10017"](given.folder), given.folder)
            write_atomically(given.folder / "scores/masks.tsv", table.to_csv(sep="\t", index=False))
        if networks and part == "diameters":
            measure_diameters(networks, given.folder)
        if networks and part == "speed":
            measure_speed(networks, given.folder)
        if networks and part == "pictures":
            draw_sheets(networks, given.folder)
        write_atomically(given.folder / "general.md", report(given.folder, networks))
    print((given.folder / "general.md").read_text())


if __name__ == "__main__":
    main()
