"""Hooks of mkdocs: pages that are made of the code, and links to files outside docs/."""

import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# mkdocs runs this file from anywhere, and without the project being installed
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from crisp_core.settings.reference import config_page  # noqa: E402
from docs.generators.api import api_pages  # noqa: E402
from docs.generators.choices import choices_page  # noqa: E402
from docs.generators.examples import examples_page  # noqa: E402
from docs.generators.figures import figures_page  # noqa: E402
from docs.generators.rules import rules_page  # noqa: E402

GENERATED: dict[str, Callable[[Path], str]] = {
    "index.md": lambda root: (root / "README.md").read_text(),
    "contributing.md": lambda root: (root / "CONTRIBUTING.md").read_text(),
    "changelog.md": lambda root: (root / "CHANGELOG.md").read_text(),
    "licence.md": lambda root: f"# Licence\n\n```text\n{(root / 'LICENSE').read_text()}```\n",
    "reference/config.md": lambda root: config_page(),
    "reference/rules.md": rules_page,
    "reference/choices.md": choices_page,
    "reference/figures.md": figures_page,
    "reference/examples.md": examples_page,
}
# files of the project that a page may link to, and the page of the site that shows them
SHOWN = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "licence.md",
    "rules/schemas/config.schema.json": "reference/config.md",
}
LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {path: make(ROOT) for path, make in GENERATED.items()} | api_pages(ROOT)
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the project into links to the pages that show them."""
    source = page.file.src_uri
    # the root's own files are read from there, all others from docs/
    folder = (
        "" if source in SHOWN.values() and source in GENERATED else posixpath.join("docs", posixpath.dirname(source))
    )
    return LINK.sub(lambda found: f"]({site_link(found[1], source, folder)})", markdown)


def site_link(link: str, page: str, folder: str) -> str:
    """Link of a page as the site needs it.

    Parameters
    ----------
    link : str
        Link in the markdown, relative to `folder`.
    page : str
        Path of the page below docs/.
    folder : str
        Folder of the project from which the links of this page count.
    """
    path, _, anchor = link.partition("#")
    if "://" in link or not path:
        return link
    target = posixpath.normpath(posixpath.join(folder, path))
    if target.startswith("examples/"):
        target, anchor = "docs/reference/examples.md", Path(target).name.replace(".", "")
    shown = f"docs/{SHOWN[target]}" if target in SHOWN else target
    relative = posixpath.relpath(shown, posixpath.join("docs", posixpath.dirname(page)))
    return relative + (f"#{anchor}" if anchor else "")
