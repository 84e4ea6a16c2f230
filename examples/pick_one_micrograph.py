# %% [markdown]
# # Pick one micrograph
# The whole chain in a notebook: read a micrograph, pick it with a trained network, look, choose another threshold,
# write a star file. Run the default job first (`snakemake --cores 8`), or name a network, a micrograph, its pixel size
# (Å/px) and the particle's longest extent (Å) on the command line. jupytext opens this file as a notebook.

# %%
import sys

import matplotlib.pyplot as plt

import crisp_core

DEFAULT = (
    "results/embedded/unet/network.pt",
    "results/embedded/micrographs/simulated_0009.mrc",
    7.08,
    180,
)
# a notebook's own arguments are fewer
network, path, pixel_size, diameter_angstrom = sys.argv[1:] if len(sys.argv) == 5 else DEFAULT
micrograph = crisp_core.read_micrograph(path, pixel_size=float(pixel_size))

# %%
found = crisp_core.pick_micrograph(
    micrograph.image, micrograph.pixel_size, network, diameter_angstrom=float(diameter_angstrom), threshold=0.3
)
print(f"{len(found.picks)} centres with a score of at least 0.3, {len(found.dropped)} dropped by rule")

# %% [markdown]
# Probability of the particle class, and the picks over the micrograph. Another threshold needs no other prediction.

# %%
threshold = 0.5
picks = found.picks[found.picks["score"] >= threshold]
height, width = micrograph.image.shape
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6), sharex=True, sharey=True, layout="constrained")
left.imshow(found.prepared.image, cmap="gray", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
left.scatter(picks["x"], picks["y"], s=60, facecolors="none", edgecolors="tab:orange")
left.set_title(f"{len(picks)} picks with a score of at least {threshold}")
right.imshow(found.probability, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
right.set_title("probability")
figure.savefig("picks.png")

# %%
table = picks.assign(micrograph=path)
crisp_core.write_coordinates("picks.star", table, format="relion")
