# The front door of petseg; a plain `make` lists what it does.
# Needs Python 3.11 or newer, git and make (GNU Make 3.81, as on macOS, is enough).

.DEFAULT_GOAL := help
.SUFFIXES:
.NOTPARALLEL:
.PHONY: help setup course lab segment photo-named check test static torture course-colab \
        notebooks practice figures ablation reproduce space site clean distclean

# What can be chosen, for instance: make PYTHON=python3.12 NOTEBOOKS="01 04" course
#   PYTHON    the program that makes .venv; by default the first that is new enough
#   EXTRAS    extras of pyproject.toml, separated by commas
#   PIP_ARGS  further arguments of `pip install`, for instance "torch==2.14.1"
#   WORKERS   processes among which the tests are divided; by default one per core, at most four
#   ARGS      further arguments of the command behind `lab`, `torture`, `reproduce` and `ablation`
#   NOTEBOOKS numbers of those that `course` and `notebooks` run; all by default
PYTHON   ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
              $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
              echo $$python && break; done)
EXTRAS   ?= dev
PIP_ARGS ?=
WORKERS  ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((cores < 4 ? cores : 4)))
ARGS     ?=
NOTEBOOKS ?=

# Notebooks run with the kernel of .venv, whatever kernels the user has installed elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_PATH := $(CURDIR)/.venv/share/jupyter

# Compiled once, and not in each of the processes that tests and notebooks start: imports take most of their time.
unexport PYTHONDONTWRITEBYTECODE

# pip installs into .venv, whatever the user's settings say of other places.
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT

IN_VENV  := PATH="$(CURDIR)/.venv/bin:$$PATH"
PROFILE   = PETSEG_PROFILE="$${PETSEG_PROFILE:-quick}"
STAMP    := .venv/.petseg-$(EXTRAS)

help: ## List what make can do
	@echo "petseg: cut pets out of photos, and learn how."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "The first call of most of them makes .venv and installs into it; CONTRIBUTING.md lists the options."

# --- Set-up --------------------------------------------------------------------------------------------------------

setup: $(STAMP) ## Make .venv and install petseg into it; all others do so when they need it

# A virtual environment knows its own path, so a copied or moved folder needs a new one.
$(STAMP): pyproject.toml
	@if [ "$$(cat .venv/.place 2>/dev/null)" != "$(CURDIR)" ]; then \
	  [ -n "$(PYTHON)" ] && $(PYTHON) -m venv --clear .venv || { \
	    echo "petseg needs Python 3.11 or newer with venv (Debian, Ubuntu: apt-get install python3-venv)." \
	         "Install one, or name it: make PYTHON=/its/path" >&2; exit 1; }; \
	  echo "$(CURDIR)" > .venv/.place; \
	fi
	@echo "Installing petseg[$(EXTRAS)] into .venv; the first time this takes minutes and some gigabytes."
	@.venv/bin/python -m pip install --no-compile $(PIP_ARGS) -e ".[$(EXTRAS)]" || { \
	  echo "The set-up failed, see above. Call make again; if that does not help, 'make distclean' first." >&2; exit 1; }
	@touch $@

ifneq ($(shell cat .venv/.place 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

# --- The course ----------------------------------------------------------------------------------------------------

course: $(STAMP) ## Run every notebook (PETSEG_PROFILE=quick or full) and write build/course/*.html
	@$(IN_VENV) $(PROFILE) .venv/bin/python -m petseg.upkeep.notebooks course $(NOTEBOOKS)

lab: $(STAMP) ## Open the notebooks in JupyterLab
	$(IN_VENV) .venv/bin/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks $(ARGS)

segment: photo-named $(STAMP) ## Cut the pet out of a photo, or of all in a folder: make segment PHOTO=my_dog.jpg
	@case "$$PHOTO" in "~/"*) PHOTO="$$HOME/$${PHOTO#??}" ;; esac; .venv/bin/petseg segment --out out -- "$$PHOTO"
	@echo "The cut-outs are in out/, named like the photos: *.cutout.png"

photo-named:
	@if [ -z "$$PHOTO" ]; then echo "Which photo? Say it like this: make segment PHOTO=my_dog.jpg" >&2; exit 2; fi

# --- Tests ---------------------------------------------------------------------------------------------------------

# One thread in each process: threads of several processes would wait for each other.
PYTEST = OMP_NUM_THREADS=1 $(IN_VENV) .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Their runs and answers stay apart from yours.
RUNS_APART = PETSEG_RUNS_DIR="$(CURDIR)/build/test-runs"
NBMAKE = -m pytest -n $(WORKERS) --nbmake --nbmake-timeout=1200 --timeout=0

# The live page's runtime, axe-core, which finds what people who cannot see or use a mouse would miss, and TypeScript.
LIVE := notebooks/site/live
NPM_ARGS := --no-save --ignore-scripts --no-audit --no-fund --silent

static: $(STAMP)
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .
	@.venv/bin/python -m mypy
	@.venv/bin/lint-imports

check: static ## The quick checks, in two minutes: style, types, import layers, fast tests
	@$(PYTEST) -q -m "not slow and not browser and not notebooks" tests/

test: static ## All checks: also the slow tests with their coverage, and every notebook
	@command -v npm >/dev/null && { [ -d $(LIVE)/node_modules/axe-core ] || npm install --prefix $(LIVE) $(NPM_ARGS); } || \
	  echo "Without npm and a network, tests of the live page, of its types and with axe-core may be skipped."
	@$(PYTEST) --cov=petseg --cov-report=term:skip-covered tests/
	@echo "== the notebooks and their solutions"
	@rm -rf build/test-runs
	@OMP_NUM_THREADS=1 $(IN_VENV) $(PROFILE) $(RUNS_APART) .venv/bin/python $(NBMAKE) $(filter-out $(WIDGETS),$(wildcard notebooks/*.ipynb)) notebooks/solutions/
	@$(MAKE) --no-print-directory course-colab

torture: $(STAMP) ## Try broken photos, data, caches, runs and requests by the thousand, for an hour; ARGS="photos" chooses
	@$(IN_VENV) .venv/bin/python -m tests.torture $(ARGS)

# Within .venv a second environment: all that the first has, but ipywidgets as old as Colab's.
COLAB := .venv/colab

# The notebooks that use widgets; the others run the same with any version.
WIDGETS = $(shell grep -lE 'course\.explore|segment_panel' notebooks/*.ipynb)

course-colab: $(COLAB)/.done
	@echo "== the notebooks that use widgets, with ipywidgets 7.7.1, the version of Colab"
	@OMP_NUM_THREADS=1 PATH="$(CURDIR)/$(COLAB)/bin:$$PATH" $(PROFILE) $(RUNS_APART) $(COLAB)/bin/python $(NBMAKE) $(WIDGETS)

$(COLAB)/.done: $(STAMP)
	@.venv/bin/python -m venv --clear --without-pip $(COLAB)
	@where='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	{ .venv/bin/python -c "$$where"; echo "$(CURDIR)"; } > "$$($(COLAB)/bin/python -c "$$where")/first.pth"
	@.venv/bin/python -m pip --python $(COLAB)/bin/python install --quiet --no-deps --ignore-installed $(PIP_ARGS) \
	  ipywidgets==7.7.1 ipython_genutils
	@touch $@

# --- Upkeep ---------------------------------------------------------------------------------------------------------

notebooks: $(STAMP) ## Run the notebooks on the real data (a GPU helps) and keep their outputs for the repository
	@$(IN_VENV) .venv/bin/python -m petseg.upkeep.notebooks notebooks $(NOTEBOOKS)

practice: $(STAMP) ## Write notebooks/practice/ and notebooks/solutions/ from the lessons (FORCE=1 overwrites answers)
	@$(IN_VENV) .venv/bin/python -m petseg.upkeep.notebooks practice $(if $(FORCE),--force) $(NOTEBOOKS)

figures: $(STAMP) ## Write figures/results.json, README's table and its pictures from the released weights
	.venv/bin/python -m petseg.upkeep.results
	.venv/bin/python figures/pictures.py

ablation: $(STAMP) ## Train the short runs of the ablation that are not on record; ARGS="NAME ..." or --long
	@.venv/bin/python -m petseg.upkeep.ablation $(ARGS)

reproduce: $(STAMP) ## Train and score every released model again, for hours; ARGS="unet" chooses
	@.venv/bin/python -m petseg.upkeep.reproduce $(ARGS)

space: $(STAMP) ## Assemble build/space/, a folder that Hugging Face Spaces runs (extra: web)
	@[ -e build/space/.git ] || rm -rf build/space    # a clone of a Space is left alone: the next line refuses it
	@.venv/bin/python -m petseg.upkeep.space

# The site's packages are installed when it is first built, so that the set-up of all others stays as short as it is.
site: .venv/.petseg-site ## Build the course as a web site that needs no network: build/site/html/ (extra: site)
	@$(IN_VENV) .venv/bin/python -m petseg.upkeep.site

.venv/.petseg-site: $(STAMP)
	@.venv/bin/python -m pip install --quiet $(PIP_ARGS) -e ".[site]"
	@touch $@

# --- Tidying -------------------------------------------------------------------------------------------------------

clean: ## Remove what was built, and caches; data, runs, out and .venv stay
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
	@find petseg tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## Remove .venv as well
	rm -rf .venv
