"""What a newcomer meets first: make, set-up, documents. And what must never get into a commit."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {Requirement(line).name: Requirement(line) for line in PROJECT["dependencies"]}
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "data/README.md", ".ci/run", ".github/workflows/site.yml")


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs make as from a separate shell, even where make itself runs these tests."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "PHOTO"))}
    return subprocess.run(["make", *arguments], cwd=folder, env=inherited, capture_output=True, text=True)


def test_every_make_command_in_the_documents_is_one_that_a_plain_make_explains() -> None:
    listed = set(re.findall(r"^  make (\w+) +\w.{10,}$", make().stdout, re.MULTILINE))
    call = re.compile(r"""(?:`|^ *|run: |  |" )make (?:[A-Z_]+="?[^`"\n]*"? )*([a-z]+)\b""", re.MULTILINE)
    named = {name for document in DOCUMENTS for name in call.findall((ROOT / document).read_text())}
    assert {"course", "test", "site", "space"} <= named <= listed


def test_the_two_buttons_of_readme_are_drawings_with_the_words_of_their_alt_texts() -> None:
    button = re.compile(r"^\[!\[(.+)\]\((figures/button-\w+\.svg)\)\]\(https:.+\)$", re.MULTILINE)
    buttons = button.findall((ROOT / "README.md").read_text())
    assert [words for words, _ in buttons] == ["Try it in your browser", "Build your first U-Net"]
    for words, name in buttons:
        drawing = ElementTree.parse(ROOT / name).getroot()
        assert drawing.attrib["aria-label"] == "".join(drawing.itertext()).strip() == words
        assert int(drawing.attrib["width"]) < 300  # fits a phone


def test_segment_without_a_photo_is_one_sentence_and_installs_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    result = make("segment", folder=tmp_path)
    assert result.returncode != 0
    assert "make segment PHOTO=my_dog.jpg" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_clean_removes_what_was_built_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    built = ("build/course", ".mypy_cache", "petseg/__pycache__", "notebooks/.ipynb_checkpoints")
    own = ("data/oxford-iiit-pet", ".venv/bin", "runs/1", "out", "petseg/weights", "tests", "notebooks")
    for name in (*built, *own):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    assert make("clean", folder=tmp_path).returncode == 0
    assert [name for name in (*built, *own) if (tmp_path / name).exists()] == list(own)


def test_the_conda_environment_equals_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip[-1] == "-e ."
    named = {str(Requirement(entry)) for entry in [*conda, *pip[:-1]]} - {"pip"}
    needed = [*CORE.values(), *EXTRAS["notebooks"], *EXTRAS["pretrained"]]
    assert named == {str(each) for each in needed if each.name != "petseg"} | {f"python{PROJECT['requires-python']}"}


@pytest.mark.parametrize(
    ("name", "version", "admitted"),
    [
        ("torch", "2.11.0+cu128", True),  # Colab's
        ("numpy", "2.1.0", True),
        ("ipywidgets", "7.7.1", True),
        ("lightning", "2.6.2", False),  # malicious releases
        ("lightning", "2.6.3", False),
    ],
)
def test_the_core_admits_what_colab_has_and_no_malicious_release(name: str, version: str, admitted: bool) -> None:
    assert CORE[name].specifier.contains(version) == admitted


def test_ci_runs_everything_on_admitted_pythons_with_pins_and_with_the_oldest_releases_and_windows_too() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    jobs = workflow["jobs"]
    for version in jobs["test"]["strategy"]["matrix"]["python"]:
        assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")
    assert jobs["test"]["steps"][-1]["run"] == ".ci/run"
    assert "make test" in (ROOT / ".ci/run").read_text()
    assert workflow["env"]["PIP_CONSTRAINT"].endswith("/.ci/constraints.txt")
    assert any("--resolution lowest-direct" in step.get("run", "") for step in jobs["lowest"]["steps"])
    systems = jobs["elsewhere"]["strategy"]["matrix"]["include"]
    assert {"system": "windows-latest", "notebooks": ""} in systems  # runs all notebooks


def test_the_citation_and_the_changelog_have_the_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == PROJECT["version"]
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[:2] == ["Unreleased", PROJECT["version"]]


def test_the_ten_questions_of_contributing_name_at_most_two_files_each_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    answers = re.findall(r"^\| [^|]+\? \|(.+)\|$", text, re.MULTILINE)
    assert len(answers) == 10
    for answer in answers:
        files = re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", answer)
        assert 1 <= len(files) <= 2, answer
        assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.fixture(scope="module")
def committed() -> dict[str, str]:
    """The text of each file that is in git, or would be after `git add`; empty for a binary file."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    contents = {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).is_file()}
    return {name: "" if b"\0" in content[:8000] else content.decode() for name, content in contents.items()}


def test_only_the_folders_of_the_design_and_no_data_set_are_committed(committed: dict[str, str]) -> None:
    folders = {name.split("/")[0] for name in committed if "/" in name}
    assert folders <= {".ci", ".github", "data", "figures", "notebooks", "petseg", "tests"}
    assert [name for name in committed if name.startswith("data/")] == ["data/README.md"]


#: Folders that only one person's machine has, and hosts that only one network knows.
MACHINE = re.compile(
    r"(?<![\w.}/-])/(?:work|root|opt|home|Users)/\w"
    r"|https?://(?!localhost\b)(?:[\w-]+(?=[/\s]|:\d)|10\.|192\.168\.|[\w.-]+\.(?:local|lan|internal|intra|corp)\b)"
)


def test_no_path_of_one_machine_and_no_private_host_is_committed(committed: dict[str, str]) -> None:
    assert all(map(MACHINE.search, ["('/home/me')", "https://mirror/simple", "http://10.0.0.7", "https://pypi.corp/x"]))
    spared = Path(__file__).relative_to(ROOT).as_posix()
    hits = {name: match[0] for name, text in committed.items() if (match := MACHINE.search(text)) and name != spared}
    assert hits == {}
