import pytest

from crisp_core.code_digest import clear_cache, code_digest

FILES = {
    "scripts/main.py": "import os\nfrom core.a import one\nfrom core.part import d\n",
    # b is imported inside a function
    "core/a.py": (
        '"""Of a."""\n\n\ndef one(x: int = 3) -> float:\n    """Of one."""\n'
        "    from core import b\n\n    return b + 2.5  # why\n"
    ),
    "core/b.py": "import core.a\n",
    "core/c.py": "",
    "core/__init__.py": "version = 1\n",
    "core/part/__init__.py": "",
    "core/part/d.py": "class D:\n    '''Of D.'''\n",
}


@pytest.fixture
def project(tmp_path):
    """A script that imports a, b and part.d; nothing imports c."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def changed_by(project, name, text):
    """Whether another text of a file gives another digest."""
    script = project / "scripts/main.py"
    before = code_digest(script, package=project / "core")
    (project / name).write_text(text)
    # within a run the files do not change
    clear_cache()
    return code_digest(script, package=project / "core") != before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("core/a.py", True),
        ("core/b.py", True),
        ("core/part/d.py", True),
        ("core/part/__init__.py", True),
        ("core/c.py", False),
        ("core/__init__.py", False),
        ("scripts/main.py", False),
    ],
)
def test_the_digest_follows_what_the_script_imports(project, name, expected):
    assert changed_by(project, name, FILES[name] + "new = 1\n") is expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("# why", "# the reason\n# at length", False),
        ("Of one", "Reworded", False),
        ("Of a", "Reworded", False),
        ('"""Of a."""', "", False),
        ("    return b", "    return    b", False),
        ("2.5", "2.50", False),
        ("return b + 2.5", "return (b\n        + 2.5)", False),
        ("2.5", "2.6", True),
        ("int = 3", "int = 4", True),
        ("return b + 2.5", "return 2.5 + b", True),
        ("return b + 2.5", "return 'Of one.'", True),
        ("return b + 2.5", "return None", True),
        ("one(x", "two(x", True),
        ("int = 3", "None = 3", True),
    ],
)
def test_only_a_change_of_meaning_changes_the_digest(project, old, new, expected):
    assert old in FILES["core/a.py"]
    assert changed_by(project, "core/a.py", FILES["core/a.py"].replace(old, new)) is expected


def test_the_digest_is_the_same_in_every_version_of_python(project):
    # computed with Python 3.11, 3.12 and 3.13, whose ast.dump give three different texts
    assert code_digest(project / "scripts/main.py", package=project / "core") == "cbdc62986507"


def test_a_script_without_modules_of_the_project_has_one_digest(project):
    (project / "alone.py").write_text("import os\n")
    assert code_digest(project / "alone.py", package=project / "core") == "e3b0c44298fc"


def test_of_a_registry_the_chosen_module_alone_counts(project):
    script, among = project / "scripts/main.py", [project / f"core/{name}.py" for name in "ac"]

    def digests():
        clear_cache()
        return [code_digest(script, package=project / "core", chosen=[path], among=among) for path in among]

    of_a, of_c = digests()
    (project / "core/c.py").write_text("three = 3\n")
    assert of_a != of_c and digests()[0] == of_a and digests()[1] != of_c
