# What a developer types. A fresh machine needs `make` and `python3` (3.11 or newer); each target sets up the rest, once.
# Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SDKS := tests/sdks/node_modules/.ready
CLOUD := build/cloud/.ready
PIP := $(BIN)/python -m pip --quiet --no-input --disable-pip-version-check
PYTEST = $(BIN)/python -m pytest --quiet --numprocesses $(WORKERS) --dist loadfile

.PHONY: help demo test test-all sdks cloud check audit bench fuzz lock tracker

help: ## list the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## run the platform, send it shop visits, show segments and decisions; PORT=8080, DATA=log file
	@$(BIN)/segue demo $(if $(PORT),--port "$(PORT)") $(if $(DATA),--data "$(DATA)")

test: WORKERS := 3
test: $(READY) ## the facts, in under 3 minutes, with one smoke run on the Google emulators where they are installed
	@echo "Testing: everything quick, on $(WORKERS) workers"
	@HYPOTHESIS_PROFILE=default SIMULATION_SEEDS=32 $(PYTEST) -m "not slow and (smoke or not google)"

test-all: $(READY) $(CLOUD) $(if $(shell command -v npm),$(SDKS)) ## everything: more examples, the slow tests, all of the Google emulators
	@echo "Testing: everything, on $(WORKERS) workers"
	@HYPOTHESIS_PROFILE=all $(PYTEST)

sdks: $(SDKS) ## install the packages of npm that tests drive (npm), at the locked versions

cloud: $(CLOUD) ## download what Google's Terraform provider knows (49 MB), which tests hold infra/terraform against

check: $(READY) ## format, lint, types and imports
	@echo "Checking the format"
	@$(BIN)/ruff format --quiet --check .
	@echo "Checking the lint rules"
	@$(BIN)/ruff check --quiet .
	@echo "Checking the types"
	@$(BIN)/python -m mypy --no-error-summary
	@echo "Checking the imports"
	@$(BIN)/lint-imports --no-logo
	@echo "Checking the scripts"
	@$(BIN)/shellcheck .ci/run infra/release/image

audit: $(READY) ## secrets, licences and known holes of what we depend on; AUDIT=required fails where nobody can be asked for holes
	@echo "Looking for secrets"
	@$(BIN)/python -m infra.release.leaks
	@echo "Listing the licences"
	@$(BIN)/python -m infra.release.licences
	@echo "Writing what the image is made of to build/release/sbom.json"
	@$(BIN)/python -m infra.release.sbom build/release/sbom.json
	@echo "Asking for known holes"
	@$(BIN)/python -m infra.release.advisories $(if $(filter required,$(AUDIT)),--required)

bench: $(READY) ## the measurements, side by side with their references; ONLY=name, EVENTS=log file
	@ONLY="$(ONLY)" EVENTS="$(EVENTS)" $(BIN)/python -m tests.bench

fuzz: $(READY) ## the laws for an hour, the simulation for 10,000 histories; MINUTES=60, SIMULATION_SEEDS=10000
	@echo "Fuzzing: the simulation, then the laws"
	@SIMULATION_SEEDS=$(or $(SIMULATION_SEEDS),10000) $(PYTEST) -k whatever_happens tests/simulation
	@MINUTES=$(or $(MINUTES),60) WORKERS=$(WORKERS) $(BIN)/python -m tests.fuzz

lock: ## write both locks anew from pyproject.toml, with the hashes of every platform's wheels; the image's is infra/requirements.lock
	@echo "Resolving the dependencies"
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --quiet --disable-pip-version-check install uv
	@build/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --extra dev \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file requirements.lock pyproject.toml
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --constraint requirements.lock \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file infra/requirements.lock pyproject.toml

tracker: tracker/node_modules ## write tracker/*.min.js anew from their sources (needs node and npm)
	@echo "Minifying the tracker"
	@npm --prefix tracker run --silent build

tracker/node_modules: tracker/package-lock.json
	@npm --prefix tracker ci --silent --ignore-scripts
	@touch $@

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Segue needs Python 3.11 or newer, and '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV) with the locked dependencies (once, and after they change)"
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it is the package python3-venv." >&2; exit 1; }
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(SDKS): tests/sdks/package-lock.json
	@echo "Setting up tests/sdks with the locked packages (once, and after they change)"
	@cd tests/sdks && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(CLOUD): tests/terraform/requirements.txt | $(READY)
	@echo "Downloading the schema of Google's Terraform provider (once, and after its version changes)"
	@rm -rf build/cloud
	@$(PIP) download --no-deps --require-hashes --requirement tests/terraform/requirements.txt --dest build/cloud
	@touch $@
