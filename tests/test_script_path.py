import os
from pathlib import Path

from crisp_core.script_path import add_to_python_path


def test_the_folder_comes_first_and_once():
    environment = {"PYTHONPATH": os.pathsep.join(["/a", "/crisp", ""])}
    for _ in range(2):
        add_to_python_path(environment, Path("/crisp"))
    assert environment["PYTHONPATH"].split(os.pathsep) == ["/crisp", "/a"]
    environment = {}
    add_to_python_path(environment, Path("/crisp"))
    assert environment == {"PYTHONPATH": "/crisp"}
