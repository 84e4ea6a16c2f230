import pytest

from crisp_core.code_digest import code_digest


@pytest.fixture
def project(tmp_path):
    """A script that imports a, which imports b inside of a function; nothing imports c."""
    files = {
        "scripts/main.py": "import os\nfrom core.a import one\n",
        "core/a.py": "def one():\n    from core import b\n    return b\n",
        "core/b.py": "import core.a\n",
        "core/c.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def changed_by(project, name):
    """Whether a line more in a file gives another digest."""
    script = project / "scripts/main.py"
    before = code_digest(script, root=project)
    with open(project / name, "a") as file:
        file.write("# changed\n")
    return code_digest(script, root=project) != before


@pytest.mark.parametrize(
    ("name", "expected"),
    [("core/a.py", True), ("core/b.py", True), ("core/c.py", False), ("scripts/main.py", False)],
)
def test_the_digest_follows_what_the_script_imports(project, name, expected):
    assert changed_by(project, name) is expected


def test_a_script_without_modules_of_the_project_has_one_digest(project):
    (project / "alone.py").write_text("import os\n")
    assert not changed_by(project, "core/c.py")
    assert code_digest(project / "alone.py", root=project) == "e3b0c44298fc"
