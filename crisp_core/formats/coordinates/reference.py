"""Table of the coordinate formats in docs/formats.md: `python -m crisp_core.formats.coordinates.reference`."""

from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.registry import COORDINATE_FORMATS

COLUMNS = ("format", "file", "micrographs per file", "position in the file", "rounding error, px", "score")


def format_table() -> str:
    """Markdown table with one line per coordinate format."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_cells, COORDINATE_FORMATS)]
    return "\n".join(f"|{'|'.join(cells)}|" if cells[0] == "---" else f"| {' | '.join(cells)} |" for cells in rows)


def _cells(format: CoordinateFormat) -> tuple[str, ...]:
    return (
        f"`{format.name}`",
        format.description,
        "one" if format.one_micrograph else "many",
        format.position,
        f"{format.rounding_px:f}".rstrip("0").rstrip("."),
        format.score or "none",
    )


if __name__ == "__main__":
    print(format_table())
