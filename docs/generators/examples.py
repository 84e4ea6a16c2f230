"""The page of the example configs."""

from pathlib import Path

LANGUAGES = {".yaml": "yaml", ".py": "python"}


def examples_page(root: Path) -> str:
    """Every file of examples/ in full, a section each."""
    paths = sorted(path for path in (root / "examples").iterdir() if path.suffix in LANGUAGES)
    sections = [
        f"## {path.name} {{#{path.name.replace('.', '')}}}\n\n```{LANGUAGES[path.suffix]}\n{path.read_text()}```\n"
        for path in paths
    ]
    return "\n".join(
        ["# Examples\n\nConfigs to copy, and two notebooks. Their comments say how each is run.\n", *sections]
    )
