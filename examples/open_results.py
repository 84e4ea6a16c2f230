# %% [markdown]
# # Open the results of a run
# Read the centres of a finished run, plot a probability map with the picks, choose another threshold, write a star
# file. Run the default job first (`snakemake --cores 8`), or name the folder of a run, a threshold and the star file:
# `python examples/open_results.py picks/results/micrographs/general 0.4 picks.star`. jupytext opens this file as a
# notebook.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import crisp_core
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.relion_coordinates import write_coordinates_star

DEFAULT = ("results/embedded/unet", 0.5, "picks.star")
# a notebook's own arguments are fewer
run, threshold, star = sys.argv[1:] if len(sys.argv) == 4 else DEFAULT
run, threshold = Path(run), float(threshold)


# %% [markdown]
# `candidates/` has every centre that no rule removed, whatever its score, so another threshold needs no other run.


# %%
def read_batches(folder):
    """Rows of all star files of a folder: micrograph, x, y (px of the micrograph) and score."""
    return pd.concat([crisp_core.read_coordinates(path) for path in sorted(folder.glob("*.star"))], ignore_index=True)


def read_map(run, micrograph):
    """Probability of the particle class, from the file of the micrograph's batch."""
    for path in sorted((run / "probability").glob("*.h5")):
        if micrograph in array_names(path, "probability"):
            return read_array(path, "probability", micrograph).data.astype("float32")
    raise SystemExit(f"{run / 'probability'}: has no map of {micrograph}; give the folder of a run with a network")


centers = read_batches(run / "candidates")
before = read_batches(run / "picks")
picks = centers[centers["score"] >= threshold]
print(f"{len(before)} picks of the run, {len(picks)} with a score of at least {threshold:g}")

# %% [markdown]
# Number of picks at every threshold, and the micrograph with the most picks over its map.

# %%
micrograph = centers["micrograph"].value_counts().index[0]
image = crisp_core.read_micrograph(run.parent / "micrographs" / f"{micrograph}.mrc", pixel_size=1).image
shown = picks[picks["micrograph"] == micrograph]
extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 5), layout="constrained")
left.imshow(image, cmap="gray", extent=extent, vmin=np.percentile(image, 1), vmax=np.percentile(image, 99))
middle.imshow(read_map(run, micrograph), extent=extent, vmin=0, vmax=1)
for axes in (left, middle):
    axes.scatter(shown["x"], shown["y"], s=60, facecolors="none", edgecolors="tab:orange")
left.set_title(f"{micrograph}: {len(shown)} picks")
middle.set_title("probability")
thresholds = np.linspace(0, 1, 101)
right.plot(thresholds, [(centers["score"] >= value).sum() for value in thresholds])
right.axvline(threshold, color="tab:orange")
right.set(xlabel="threshold", ylabel="picks of all micrographs")
figure.savefig(Path(star).with_suffix(".png"))

# %% [markdown]
# One table of all picks, which names each micrograph by its path.

# %%
paths = [f"{run.parent.as_posix()}/micrographs/{name}.mrc" for name in picks["micrograph"]]
write_coordinates_star(star, picks.assign(micrograph=paths))
