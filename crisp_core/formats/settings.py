"""Settings of downloads."""

from crisp_core.sections import Section, UserPath


class DownloadSettings(Section):
    """Downloads of maps and models from the data banks; each file is fetched once and kept."""

    folder: UserPath | None = None
    """Folder of the downloaded files; null is the user's cache (on Linux ~/.cache/crisp).

    Examples
    --------
        - ~/data/maps
    """

    emdb_url: str = "https://files.wwpdb.org/pub/emdb/structures"
    """Address of EMDB, or of a mirror."""

    pdb_url: str = "https://files.rcsb.org/download"
    """Address of the PDB, or of a mirror."""
