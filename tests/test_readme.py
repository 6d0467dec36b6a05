"""The README runs: every shell block in it is executed, unless a comment before it says why not.

Installing is left out, since what is tested is installed. The commands of a block run one after the other in a directory of their own, with
the README's other files beside them. And links lead somewhere, here and in the docs.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"(?P<before>[^\n]*)\n+```(?:sh|bash|shell|console)\n(?P<commands>.*?)```", re.DOTALL)
INSTALL = re.compile(r"python3? -m venv \S+ && \S*pip install [^&\n]*(&& )?")
TEST_COMMAND = re.compile(r"\S*python -m pytest.*")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(text):
    """The commands of each block that is to run, as they run here: without installing, and with this environment for the README's."""
    blocks = [found["commands"] for found in BLOCK.finditer("\n" + text) if not found["before"].startswith("<!-- not run")]
    return [INSTALL.sub("", block).replace(".venv/bin/", f"{BIN}/").strip() for block in blocks]


README = commands_of((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture
def beside_the_readme(tmp_path):
    for entry in ROOT.iterdir():
        if not entry.name.startswith("."):
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.mark.parametrize("commands", [block for block in README if not TEST_COMMAND.search(block)])
def test_a_block_of_the_readme_runs(commands, beside_the_readme):
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=beside_the_readme,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_checks_pass_by_the_readmes_own_test_command():
    words = [found[0].removeprefix(f"{BIN}/") for block in README if (found := TEST_COMMAND.search(block))]
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert words, "the README names no test command"
    assert all(command in checks for command in words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert missing == []


def test_the_index_lists_every_page():
    listed = set(LINK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert listed >= {page.name for page in PAGES[1:]} - {"index.md"}


def test_only_marked_blocks_are_left_out():
    text = "Text.\n\n```sh\na\n```\n\n<!-- not run: needs data -->\n```sh\nb\n```\n\n```python\nc\n```\n```sh\nd\n```\n"
    assert commands_of(text) == ["a", "d"]


def test_installing_is_left_out():
    line = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/seatrial run"
    assert commands_of(f"\n```sh\n{line}\n```\n") == [f"{BIN}/seatrial run"]
