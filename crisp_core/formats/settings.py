"""Settings of downloads."""

from pathlib import Path

from crisp_core.sections import Section, UserPath


class DownloadSettings(Section):
    """Downloads of maps, models and public datasets; each file is fetched once and kept."""

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

    cryoppp_url: str = "https://calla.rnet.missouri.edu/cryoppp_lite"
    """Address of the archives <id>.tar.gz of CryoPPP. The default are those of CryoPPP_Lite, with micrographs as 8-bit
    JPG; https://calla.rnet.missouri.edu/cryoppp has them as MRC, in archives of up to terabytes."""

    empiar_url: str = "https://ftp.ebi.ac.uk/empiar/world_availability"
    """Address of EMPIAR's files, or of a mirror."""

    empiar_api_url: str = "https://www.ebi.ac.uk/empiar/api/entry"
    """Address of the descriptions of EMPIAR's entries."""

    @property
    def data_folder(self) -> Path:
        """Folder of the downloaded files."""
        import pooch  # the main process of Snakemake reads this module

        return Path(pooch.os_cache("crisp") if self.folder is None else self.folder)
