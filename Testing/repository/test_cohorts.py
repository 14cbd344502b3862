"""The container files and the example scripts for cohorts fit the program and each other."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from paths import ROOT

from SpinalTapLib.cli.main import make_parser

SCRIPTS = sorted((ROOT / "docs" / "cohorts").glob("*.sh"))
CONTAINERS = ("Dockerfile", "apptainer.def")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands(source):
    """Return the arguments of every `spinaltap` command in a text, with words for its variables."""
    joined = re.sub(r"\s*\\\n\s*", " ", source)
    for line in joined.splitlines():
        found = re.match(r"(?:srun )?spinaltap ((?:batch|summary) .*)", line.split("  #")[0].strip())
        if found:
            yield found[1].replace('"$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"', "1/2").split()


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / "docs" / "cohorts.md"], ids=lambda path: path.name)
def test_every_command_of_the_page_and_the_scripts_is_one_that_the_program_takes(path):
    found = list(commands(path.read_text(encoding="utf-8")))
    assert found
    for arguments in found:
        make_parser().parse_args(arguments)


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_valid_shell(path):
    done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_containers_install_the_pytorch_of_the_makefile_for_the_processor(name):
    version = re.search(r"^TORCH_VERSION = (\S+)", text("Makefile"), re.MULTILINE)[1]
    index = re.search(r"^TORCH_INDEX \?= (\S+)", text("Makefile"), re.MULTILINE)[1]
    assert f"torch=={version}+cpu" in text(name) and index in text(name)
    assert '[cluster]"' in text(name) and "spinaltap" in text(name)


def test_the_image_ignores_nothing_that_the_wheel_needs():
    ignored = set(text(".dockerignore").split())
    assert not ignored & {"SpinalTapLib", "Resources", "README.md", "LICENSE", "pyproject.toml"}
