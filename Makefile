# The front door of petseg; a plain `make` lists what it does.
# Needs Python 3.11 or newer, git and make (GNU Make 3.81, as on macOS, is enough).

.DEFAULT_GOAL := help
.SUFFIXES:
.NOTPARALLEL:
.PHONY: help setup course lab segment photo-named test course-colab notebooks stamp figures ablation reproduce space site clean distclean FORCE

# What can be chosen, for instance: make TORCH="torch==2.14.1 torchvision==0.29.1" test
#   PYTHON    programs of which the first that is new enough makes .venv
#   EXTRAS    extras of pyproject.toml, separated by commas
#   TORCH     a certain build of PyTorch, installed before all else
#   PIP_ARGS  further arguments of `pip install`
#   WORKERS   processes among which the tests are divided
#   ARGS      further arguments of the command behind `lab`, `reproduce` and `ablation`
#   NOTEBOOKS numbers of those that `course` and `notebooks` run, for instance "01 04"; all by default
PYTHON   ?= python3 python3.14 python3.13 python3.12 python3.11
EXTRAS   ?= dev
TORCH    ?=
PIP_ARGS ?=
WORKERS  ?= 2
ARGS     ?=
NOTEBOOKS ?=

# Notebooks run with the kernel of .venv, whatever kernels the user has installed elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_PATH := $(CURDIR)/.venv/share/jupyter

IN_VENV  := PATH="$(CURDIR)/.venv/bin:$$PATH"
PROFILE   = PETSEG_PROFILE="$${PETSEG_PROFILE:-quick}"
STAMP    := .venv/.petseg-$(EXTRAS)

help: ## List what make can do
	@echo "petseg: cut pets out of photos, and learn how."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "The first call of most of them makes .venv and installs into it; CONTRIBUTING.md lists the options."

# --- Set-up --------------------------------------------------------------------------------------------------------

setup: $(STAMP) ## Make .venv and install petseg into it; all others do so when they need it

# A virtual environment knows its own path, so that of a copied or moved folder is made again.
ifneq ($(wildcard .venv/.place),)
ifneq ($(shell cat .venv/.place),$(CURDIR))
$(STAMP): FORCE
endif
endif

# .venv/.unfinished is there while pip works. Found at the beginning, it tells of a run that was killed: start again.
# The stamp is made last, so that it says: all that pyproject.toml asks for is installed.
$(STAMP): pyproject.toml
	@if [ -e .venv/.unfinished ] || ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' \
	     2>/dev/null || { [ -e .venv/.place ] && [ "$$(cat .venv/.place)" != "$(CURDIR)" ]; }; then \
	  for python in $(PYTHON) none; do \
	    $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  done; \
	  if [ $$python = none ]; then \
	    echo "petseg needs Python 3.11 or newer with venv, and none of $(PYTHON) is that:" \
	         "install one (Debian, Ubuntu: apt-get install python3-venv) or name it: make PYTHON=/its/path" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making .venv with $$($$python --version)."; \
	  $$python -m venv --clear .venv || exit 1; \
	fi
	@echo "$(CURDIR)" > .venv/.place
	@echo "Installing petseg[$(EXTRAS)] into .venv; the first time this takes minutes and some gigabytes."
	@touch .venv/.unfinished
	@ { $(if $(strip $(TORCH)),.venv/bin/python -m pip install $(PIP_ARGS) $(foreach one,$(TORCH),'$(one)') &&) \
	    .venv/bin/python -m pip install $(PIP_ARGS) -e ".[$(EXTRAS)]"; } || { \
	  rm -f .venv/.unfinished; \
	  echo "The set-up failed, see above. Call make again; if that does not help, 'make distclean' first." >&2; \
	  exit 1; \
	}
	@rm -f .venv/.unfinished
	@touch $@

# --- The course ----------------------------------------------------------------------------------------------------

course: $(STAMP) ## Run every notebook (PETSEG_PROFILE=quick or full) and write build/course/*.html
	@$(IN_VENV) $(PROFILE) .venv/bin/python -m petseg.upkeep.notebooks course $(NOTEBOOKS)

lab: $(STAMP) ## Open the notebooks in JupyterLab
	$(IN_VENV) .venv/bin/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks $(ARGS)

segment: photo-named $(STAMP) ## Cut the pet out of a photo, or of all in a folder: make segment PHOTO=my_dog.jpg
	@case "$$PHOTO" in "~/"*) PHOTO="$$HOME/$${PHOTO#??}" ;; esac; \
	.venv/bin/petseg segment --out out -- "$$PHOTO" || exit 1; \
	if [ -d "$$PHOTO" ]; then echo "The cut-outs are out/*.cutout.png"; \
	else name=$${PHOTO##*/}; echo "The cut-out is out/$${name%.*}.cutout.png"; fi

photo-named:
	@if [ -z "$$PHOTO" ]; then echo "Which photo? Say it like this: make segment PHOTO=my_dog.jpg" >&2; exit 2; fi

# --- Tests ---------------------------------------------------------------------------------------------------------

test: $(STAMP) ## Run all checks: style, types, import layers, tests and every notebook
	@echo "== ruff check: style"
	@.venv/bin/python -m ruff check .
	@echo "== ruff format: layout"
	@.venv/bin/python -m ruff format --check .
	@echo "== mypy: types"
	@.venv/bin/python -m mypy
	@echo "== lint-imports: imports run downwards only"
	@.venv/bin/lint-imports
	@echo "== pytest: the package"
	@$(IN_VENV) .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile tests/
	@echo "== nbmake: the notebooks, and their solutions in notebooks/solutions/"
	@$(IN_VENV) $(PROFILE) .venv/bin/python -m pytest --nbmake --nbmake-timeout=1200 notebooks/
	@echo "== nbmake: the notebooks that use widgets, with ipywidgets 7.7.1"
	@$(MAKE) --no-print-directory course-colab

# Within .venv a second environment: all that the first has, but ipywidgets as old as Colab's.
COLAB := .venv/colab

# The notebooks that use widgets; the others run the same with any version.
WIDGETS = $(shell grep -lE 'course\.explore|segment_panel' notebooks/*.ipynb)

course-colab: $(COLAB)/.done ## Run the notebooks that use widgets with ipywidgets 7.7.1, the version of Colab
	@PATH="$(CURDIR)/$(COLAB)/bin:$$PATH" $(PROFILE) \
	  $(COLAB)/bin/python -m pytest --nbmake --nbmake-timeout=1200 $(WIDGETS)

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

stamp: $(STAMP) ## Write the repository's address and the latest pictures into the notebooks and README
	@$(IN_VENV) .venv/bin/python -m petseg.upkeep.notebooks stamp

figures: $(STAMP) ## Write figures/results.json, README's table and its pictures from the released weights
	.venv/bin/python -m petseg.upkeep.results

ablation: $(STAMP) ## Train the short runs of the ablation that are not on record; ARGS="NAME ..." or --long
	@.venv/bin/python -m petseg.upkeep.ablation $(ARGS)

reproduce: $(STAMP) ## Train and score every released model again, for hours; ARGS="unet" chooses
	@.venv/bin/python -m petseg.upkeep.reproduce $(ARGS)

space: $(STAMP) ## Assemble build/space/, a folder that Hugging Face Spaces runs (extra: web)
	@.venv/bin/python -m petseg.upkeep.space

# The site's packages are installed when it is first built, so that the set-up of all others stays as short as it is.
site: .venv/.petseg-site ## Build the course as a web site that needs no network: build/site/html/ (extra: site)
	@$(IN_VENV) .venv/bin/python -m petseg.upkeep.site

.venv/.petseg-site: $(STAMP)
	@.venv/bin/python -m pip install --quiet $(PIP_ARGS) -e ".[site]"
	@touch $@

# --- Tidying -------------------------------------------------------------------------------------------------------

clean: ## Remove what was built, and caches; data, runs, out and .venv stay
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find petseg tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## Remove .venv as well
	rm -rf .venv
