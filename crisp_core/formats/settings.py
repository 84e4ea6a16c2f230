"""Settings of downloads."""

from crisp_core.sections import Section, UserPath


class DownloadSettings(Section):
    """Downloads of maps and models from the data banks; each file is fetched once and kept."""

    folder: UserPath | None = None
    """Folder of the downloaded files; null is the user's cache (on Linux ~/.cache/crisp)."""

    emdb_url: str = "https://files.wwpdb.org/pub/emdb/structures"
    """EMDB or a mirror of it."""

    pdb_url: str = "https://files.rcsb.org/download"
    """PDB or a mirror of it."""
