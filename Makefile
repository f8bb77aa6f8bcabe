PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo check fix test test-slow bench constraints migration screenshots

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[worker,onnx,hf,mlflow,oidc,postgres,dev]"
	@touch $(READY)

install: $(READY)  ## the virtual environment in .venv, with everything pinned

demo: $(READY)  ## real cases in a browser, on SQLite, within minutes
	$(BIN)/signoff demo

check: $(READY)  ## lint, types and import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check  ## checks and all tests but the slow ones: SQLite, PostgreSQL, browser
	$(BIN)/pytest -n 3 --dist loadscope

test-slow: $(READY)  ## kill -9 rounds and other checks of minutes
	$(BIN)/pytest -m slow

bench: $(READY)  ## the figures of docs/benchmarks.md
	$(BIN)/pytest -m benchmark -s tests/benchmarks

constraints: $(READY)  ## constraints.txt anew (needs uv)
	echo 'torch==2.13.0' > .venv/torch.txt
	uv pip compile --universal --python-version 3.11 pyproject.toml --all-extras -c .venv/torch.txt \
		--no-annotate --no-header --no-emit-package signoff -o constraints.txt

migration: $(READY)  ## a new migration from the tables: make migration NAME="what changes"
	$(BIN)/python -m db.migrations.new "$(NAME)"

screenshots: $(READY)  ## a picture of every screen, light and dark, wide and narrow
	$(BIN)/python -m tests.browser.screenshots
