"""What a newcomer meets first: make, set-up, documents. And what must never get into a commit."""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}

#: Stands in for Python: makes a `.venv` out of itself and notes each `pip install`; set-up takes no time.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
  "-m venv --clear "*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo venv >> calls.log ;;
  "-m pip install "*)
    echo "$*" >> calls.log
    if [ -e kill-me ]; then kill -9 $PPID; fi
    [ ! -e no-network ] ;;
  --version) echo "Python 3.11.0" ;;
esac
"""


def make(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell of its own, even where make itself runs these tests."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    for key in ("TORCH", "EXTRAS", "PIP_ARGS", "PYTHON", "PHOTO", "ARGS"):
        inherited.pop(key, None)
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=inherited | variables, capture_output=True, text=True)


def targets() -> set[str]:
    """All targets that a person may call: the phony ones, less those that only serve others."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony
    return set(phony[1].split()) - {"FORCE", "photo-named"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, pyproject.toml and a Python that only pretends."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    fake = tmp_path / "fake-python"
    fake.write_text(FAKE_PYTHON)
    fake.chmod(0o755)
    return tmp_path


def set_up(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return make("setup", f"PYTHON={folder / 'fake-python'}", *arguments, folder=folder)


def calls(folder: Path) -> list[str]:
    """What the pretended Python was asked to do since the last look."""
    log = folder / "calls.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


INSTALL = "-m pip install -e .[dev]"


def test_plain_make_lists_every_target_with_a_line() -> None:
    listed = make().stdout
    for target in targets():
        assert re.search(rf"^  make {target} +\w.{{10,}}$", listed, flags=re.MULTILINE), target


def test_every_make_command_in_the_documents_is_a_target() -> None:
    named = set()
    for document in (
        "README.md",
        "CONTRIBUTING.md",
        "data/README.md",
        ".github/workflows/ci.yml",
        ".github/workflows/site.yml",
    ):
        text = (ROOT / document).read_text()
        named |= set(
            re.findall(r"""(?:`|^(?: {4})?|run: |  )make (?:[A-Z_]+="?[^`"\n]*"? )*([a-z]+)\b""", text, re.MULTILINE)
        )
    assert {"course", "test"} <= named <= targets()


def test_the_first_set_up_makes_a_venv_and_installs_the_second_does_nothing(checkout: Path) -> None:
    assert set_up(checkout).returncode == 0
    assert calls(checkout) == ["venv", INSTALL]
    assert set_up(checkout).returncode == 0
    assert calls(checkout) == []


@pytest.mark.parametrize("target", ["course", "test", "lab", "figures"])
def test_a_target_installs_nothing_once_set_up(checkout: Path, target: str) -> None:
    set_up(checkout)
    assert "pip install" not in make("-n", target, folder=checkout).stdout


def test_the_site_installs_its_own_packages_which_no_other_target_needs(checkout: Path) -> None:
    set_up(checkout)
    assert '-m pip install --quiet  -e ".[site]"' in make("-n", "site", folder=checkout).stdout
    assert not any(one.name == "petseg" and "site" in one.extras for one in EXTRAS["dev"])
    (checkout / ".venv/.petseg-site").touch()
    assert "pip install" not in make("-n", "site", folder=checkout).stdout


def test_a_changed_pyproject_updates_the_venv_that_is_there(checkout: Path) -> None:
    set_up(checkout)
    calls(checkout)
    later = (checkout / ".venv/.petseg-dev").stat().st_mtime + 10
    os.utime(checkout / "pyproject.toml", (later, later))
    set_up(checkout)
    assert calls(checkout) == [INSTALL]


def test_other_extras_are_added_to_the_venv_that_is_there(checkout: Path) -> None:
    set_up(checkout)
    calls(checkout)
    set_up(checkout, "EXTRAS=dev,web")
    assert calls(checkout) == ["-m pip install -e .[dev,web]"]


def test_a_chosen_pytorch_is_installed_first(checkout: Path) -> None:
    set_up(checkout, "TORCH=torch>=2.6 torchvision==0.29.1", "PIP_ARGS=--no-cache-dir")
    torch, petseg = calls(checkout)[1:]
    assert torch == "-m pip install --no-cache-dir torch>=2.6 torchvision==0.29.1"
    assert petseg == "-m pip install --no-cache-dir -e .[dev]"


def test_a_set_up_that_was_killed_begins_again(checkout: Path) -> None:
    (checkout / "kill-me").touch()
    assert set_up(checkout).returncode != 0
    (checkout / "kill-me").unlink()
    calls(checkout)
    assert set_up(checkout).returncode == 0
    assert calls(checkout) == ["venv", INSTALL]


def test_a_failed_install_is_told_and_tried_again_without_losing_the_venv(checkout: Path) -> None:
    (checkout / "no-network").touch()
    failed = set_up(checkout)
    assert failed.returncode != 0
    assert "The set-up failed" in failed.stderr
    (checkout / "no-network").unlink()
    calls(checkout)
    assert set_up(checkout).returncode == 0
    assert calls(checkout) == [INSTALL]


def test_a_venv_without_a_working_python_is_made_again(checkout: Path) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to("/nowhere/python3")
    set_up(checkout)
    assert calls(checkout) == ["venv", INSTALL]


def test_a_copied_folder_does_not_use_the_venv_of_the_original(checkout: Path) -> None:
    set_up(checkout)
    copy = checkout / "copy-of-it"
    shutil.copytree(checkout, copy, symlinks=True)
    calls(copy)
    set_up(copy)
    assert calls(copy) == ["venv", INSTALL]
    set_up(copy)
    assert calls(copy) == []


def test_no_suitable_python_is_one_clear_sentence(checkout: Path) -> None:
    (checkout / "old").write_text("#!/bin/sh\nexit 1\n")
    (checkout / "old").chmod(0o755)
    result = make("setup", "PYTHON=./old ./absent", folder=checkout)
    assert result.returncode != 0
    assert "petseg needs Python 3.11 or newer" in result.stderr
    assert not (checkout / ".venv").exists()


def test_segment_without_a_photo_is_one_sentence_and_installs_nothing(checkout: Path) -> None:
    result = make("segment", folder=checkout)
    assert result.returncode != 0
    assert "make segment PHOTO=my_dog.jpg" in result.stderr
    assert calls(checkout) == []


def test_segment_says_where_the_cut_out_is_even_for_a_name_with_spaces(checkout: Path) -> None:
    set_up(checkout)
    petseg = checkout / ".venv/bin/petseg"
    petseg.write_text('#!/bin/sh\nfor word; do echo "[$word]"; done\n')
    petseg.chmod(0o755)
    result = make("segment", "PHOTO=~/My dog's photo.jpg", folder=checkout, HOME="/home of me")
    assert "[/home of me/My dog's photo.jpg]" in result.stdout
    assert "The cut-out is out/My dog's photo.cutout.png" in result.stdout


def test_segment_of_a_folder_says_where_all_cut_outs_are(checkout: Path) -> None:
    set_up(checkout)
    petseg = checkout / ".venv/bin/petseg"
    petseg.write_text("#!/bin/sh\n")
    petseg.chmod(0o755)
    (checkout / "my photos").mkdir()
    result = make("segment", "PHOTO=my photos/", folder=checkout)
    assert "The cut-outs are out/*.cutout.png" in result.stdout


def write_notebook(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def test_course_stops_at_the_notebook_that_fails_and_shows_why(checkout: Path) -> None:
    set_up(checkout)
    python = checkout / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    write_notebook(checkout / "notebooks/01_good.ipynb", "import os, sys", "print(os.environ['PETSEG_PROFILE'])")
    write_notebook(checkout / "notebooks/02_bad.ipynb", "cats = 1 / 0")
    before = (checkout / "notebooks/01_good.ipynb").read_bytes()
    result = make("course", folder=checkout, PETSEG_PROFILE="quick")
    assert result.returncode != 0
    assert re.search(r"^\[1/2\] 01_good \.\.\. \d+ s$", result.stdout, flags=re.MULTILINE)
    assert "[2/2] 02_bad ... failed" in result.stdout
    assert "ZeroDivisionError" in result.stderr
    assert "notebooks/02_bad.ipynb failed" in result.stderr
    assert "quick" in (checkout / "build/course/01_good.html").read_text()
    assert (checkout / "notebooks/01_good.ipynb").read_bytes() == before


def test_clean_removes_what_was_built_and_nothing_else(checkout: Path) -> None:
    gone = ("build/course", ".mypy_cache", "petseg/__pycache__", "notebooks/.ipynb_checkpoints")
    kept = ("data/oxford-iiit-pet", ".venv/bin", "runs/1", "out", "petseg/weights", "tests", "notebooks")
    for name in (*gone, *kept):
        (checkout / name).mkdir(parents=True, exist_ok=True)
    assert make("clean", folder=checkout).returncode == 0
    assert [name for name in gone if (checkout / name).exists()] == []
    assert [name for name in kept if not (checkout / name).exists()] == []
    assert make("distclean", folder=checkout).returncode == 0
    assert not (checkout / ".venv").exists()


def test_every_extra_of_the_design_exists() -> None:
    assert {"notebooks", "web", "pretrained", "export", "dev"} <= set(EXTRAS)


def test_dev_brings_the_notebooks_along() -> None:
    assert any(one.name == "petseg" and "notebooks" in one.extras for one in EXTRAS["dev"])


def test_the_conda_environment_equals_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip[-1] == "-e ."
    named = {str(Requirement(entry)) for entry in [*conda, *pip[:-1]]} - {"pip"}
    python = f"python{PROJECT['requires-python']}"
    notebooks = {str(one) for one in [*CORE, *EXTRAS["notebooks"], *EXTRAS["pretrained"]]} - {"petseg[pretrained]"}
    assert named == notebooks | {python}
    assert [Requirement(entry).name for entry in conda] == ["python", "pip", "jupyterlab"]
    assert environment["channels"] == ["conda-forge"]


@pytest.mark.parametrize(("name", "version"), [("torch", "2.11.0+cu128"), ("numpy", "2.1.0"), ("ipywidgets", "7.7.1")])
def test_the_core_admits_what_colab_has(name: str, version: str) -> None:
    (requirement,) = (one for one in CORE if one.name == name)
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("version", ["3.11.0", "3.12.0", "3.13.0", "3.14.0"])
def test_pythons_of_colab_and_ci_are_admitted(version: str) -> None:
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_malicious_releases_of_lightning_are_excluded(version: str) -> None:
    (lightning,) = (one for one in CORE if one.name == "lightning")
    assert not lightning.specifier.contains(version)


def test_dependencies_are_ranges_not_pins() -> None:
    pinned = [str(one) for group in (CORE, *EXTRAS.values()) for one in group if "==" in str(one.specifier)]
    assert pinned == []


def test_ci_runs_make_test_on_every_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert job["steps"][-1]["run"] == "make test"
    assert workflow["permissions"] == {"contents": "read"}


def test_the_ci_script_can_be_called_and_calls_make_test() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^make .*test$", script.read_text(), flags=re.MULTILINE)


def test_checks_before_a_commit_use_the_tools_of_the_venv() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    own = [hook for hook in local["hooks"] if hook["language"] == "system"]
    assert {"ruff-check", "notebooks"} <= {hook["id"] for hook in own}
    for hook in own:
        module = re.match(r"\.venv/bin/python -m ([\w.]+)", hook["entry"])
        assert module, hook["id"]
        assert find_spec(module[1]), hook["id"]


def test_the_citation_and_the_changelog_know_the_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == PROJECT["version"]
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[:2] == ["Unreleased", PROJECT["version"]]


def committed() -> list[str]:
    """Files that are in git, or would be after `git add`."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    return [name for name in found.split("\0") if name and (ROOT / name).is_file()]


def committed_text() -> dict[str, str]:
    contents = {name: (ROOT / name).read_bytes() for name in committed()}
    return {name: content.decode() for name, content in contents.items() if b"\0" not in content[:8000]}


def test_the_top_level_holds_only_what_the_design_names() -> None:
    folders = {".ci", ".github", "data", "figures", "notebooks", "petseg", "tests"}
    files = {
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "MANIFEST.in",
        "environment.yml",
        "pyproject.toml",
        "setup.py",
        ".gitignore",
        ".pre-commit-config.yaml",
    }
    top = {(name.split("/")[0], "/" in name) for name in committed()}
    assert {name for name, is_folder in top if is_folder} <= folders
    assert {name for name, is_folder in top if not is_folder} <= files


def test_at_most_16_names_stand_directly_in_the_package() -> None:
    assert len({name.split("/")[1] for name in committed() if name.startswith("petseg/")}) <= 16


def test_no_data_set_is_committed() -> None:
    assert [name for name in committed() if name.startswith("data/")] == ["data/README.md"]


#: Folders that only one person's machine has.
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(?:work|root|opt|home|Users)/\w")


@pytest.mark.parametrize("folder", ["work", "root", "opt", "home", "Users"])
def test_the_search_for_machine_paths_finds_them_and_spares_addresses(folder: str) -> None:
    assert MACHINE_PATH.search(f'open("/{folder}/me/photo.jpg")')
    assert not MACHINE_PATH.search(f"https://example.org/{folder}/me and ../{folder}/me and my/{folder}/x")


def test_no_path_of_one_machine_is_committed() -> None:
    found = {name: match[0] for name, text in committed_text().items() if (match := MACHINE_PATH.search(text))}
    assert found == {}


def is_private(host: str) -> bool:
    """Whether only some network knows a host: a bare name, a private address, or a domain for inner use."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        inner = bool(re.search(r"\.(local|lan|internal|intra|corp)$", host))
        return inner or ("." not in host and host != "localhost")
    return address.is_private and not address.is_loopback


@pytest.mark.parametrize("host", ["10.0.0.7", "192.168.1.2", "mirror", "pypi.corp", "cache.internal"])
def test_private_hosts_are_told_from_public_ones(host: str) -> None:
    assert is_private(host)
    assert not any(is_private(public) for public in ("github.com", "127.0.0.1", "localhost", "1.1.1.1"))


def test_no_private_host_is_committed() -> None:
    hosts = {
        (name, host)
        for name, text in committed_text().items()
        for host in re.findall(r"(?:https?|file|ftp)://(?:[^/@\s\"'`]+@)?+(\w[\w.-]*)", text)
    }
    assert {(name, host) for name, host in hosts if is_private(host)} == set()


def test_the_ten_questions_of_contributing_name_at_most_two_files_each_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    answers = re.findall(r"^\d+\. \*\*.+?\?\*\*(.+?)(?=^\d+\. |^## )", text, re.MULTILINE | re.DOTALL)
    assert len(answers) == 10
    for answer in answers:
        files = re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", answer)
        assert 1 <= len(files) <= 2, answer
        for name in files:
            assert (ROOT / name).is_file(), name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_the_notebooks_that_use_widgets_and_no_others_also_run_with_old_ipywidgets(checkout: Path) -> None:
    set_up(checkout)
    write_notebook(checkout / "notebooks" / "01_slider.ipynb", "course.explore(draw, degrees=[15, 30])")
    write_notebook(checkout / "notebooks" / "02_plain.ipynb", "course.results()")
    write_notebook(checkout / "notebooks" / "05_panel.ipynb", "segment_panel()")
    command = make("-n", "course-colab", folder=checkout).stdout
    assert "notebooks/01_slider.ipynb notebooks/05_panel.ipynb\n" in command
    assert "02_plain" not in command


def test_jupyterlab_serves_the_repository_and_opens_the_notebooks() -> None:
    command = make("-n", "lab").stdout
    assert "--ServerApp.root_dir=. " in command
    assert "/lab/tree/notebooks" in command
