# `make help` lists what there is. Needs Python 3.11+ and make; everything else is in .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SHELLFLAGS := -eu -c
.DELETE_ON_ERROR:
.PHONY: up test check bench chaos help lock

PYTHON ?= python3
PY := .venv/bin/python
STAMP := .venv/.installed
# Much of the suite waits for real processes: three at a time, each with servers of its own, keep
# two cores busy; four are in each other's way. A Valkey of yours is only one.
SPREAD := $(if $(REDIS_URL),,-n 3 --dist loadfile --no-loadscope-reorder)
# Values that `check --deploy` asks for; nothing is connected to, nothing is signed.
THROW_AWAY := DJANGO_SETTINGS_MODULE=config.settings.production \
	SECRET_KEY=checked-never-used-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG \
	ENCRYPTION_KEYS=check:Y2hlY2tlZC1uZXZlci11c2VkLTMyLWJ5dGVzLWxvbmc= \
	DATABASE_URL=postgresql://nobody@127.0.0.1:9/none REDIS_URL=redis://127.0.0.1:9/0 \
	ALLOWED_HOSTS=tasks.example.org

up: $(STAMP) ## Start everything behind one address (PORT=8000); Ctrl-C stops it
	@exec $(PY) manage.py up

# The suite starts some hundreds of processes of ours: our modules are compiled once, not each time.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP) ## Run the whole test suite against real servers (ARGS="-k name" for a part)
	@$(PY) -m pytest $(or $(ARGS),$(SPREAD))

check: $(STAMP) ## Lint, format, types, architecture, missing migrations, deployment settings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	@$(THROW_AWAY) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(THROW_AWAY) $(PY) manage.py check --deploy --fail-level WARNING

bench: $(STAMP) ## Measure accepting, delivering and fanning out; a table, and JSON under .data/
	@$(PY) -m tests.benchmarks $(ARGS)

chaos: $(STAMP) ## Kill everything while clients write, count what is wrong (SEED=, MINUTES=5, RATE=25)
	@$(PY) -m tests.chaos $(ARGS)

lock: $(STAMP) ## Lock requirements/*.in with hashes
	@for name in base production dev; do \
		.venv/bin/uv pip compile --system-certs --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-header -q \
			requirements/$$name.in -o requirements/$$name.txt; \
	done

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

# Installs only where the lock or the Python has changed. Half an installation leaves no stamp.
$(STAMP): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Aftercommit needs Python 3.11 or newer, and '$(PYTHON)' is not one: install it," \
			"or name it, as in: make up PYTHON=python3.12" >&2; exit 1; }
	@test -x $(PY) && $(PY) -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv || { \
		echo "Python's venv module is missing (on Debian: apt-get install python3-venv)." >&2; \
		exit 1; }
	@echo "Installing the locked requirements into .venv …"
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input \
		--require-hashes -r requirements/dev.txt
	@touch $@
