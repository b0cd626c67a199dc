# `make demo` and `make test` set themselves up: a virtual environment in .venv, installed once and again only when
# pyproject.toml changes. `make PYTHON=python3.12 test` chooses the interpreter (3.10 or newer) for a new environment.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help fuzz demo test lint types tests test-numerics docs examples bench clean

help:
	@echo "make demo       render the example pair to out/demo.mp4 with the embedded model"
	@echo "make test       lint, types and tests: all that has to pass"
	@echo "make lint|types|tests   one of the three"
	@echo "make test-numerics  the numeric tests as older processors compute, with one thread and with two"
	@echo "make fuzz       100,000 damaged inputs of each kind; VTG_FUZZ_FIRST and VTG_FUZZ_CASES choose others"
	@echo "make docs       write docs/cli.md, docs/timeline.schema.json and the table of docs/models.md again"
	@echo "make examples   paint examples/*.jpg again and the README's picture"
	@echo "make bench      run the benchmarks; each ends with one JSON line"
	@echo "make clean      remove what the other targets made, .venv included"

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "vtg needs Python 3.10 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	@mkdir -p out
	$(BIN)/vtg interpolate examples/lake_a.jpg examples/lake_b.jpg --overwrite -o out/demo.mp4 --sheet out/demo.png
	@echo "video:         $(CURDIR)/out/demo.mp4"
	@echo "contact sheet: $(CURDIR)/out/demo.png"

test: lint types tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos

# numpy's types for Python 3.10 (2.2) take a picture's minimum for a number where newer ones do not
types: $(INSTALLED)
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then echo $(BIN)/mypy; $(BIN)/mypy; \
	else echo "types are checked on Python 3.11 and newer: numpy's own are wrong on 3.10"; fi

tests: $(INSTALLED)
	@$(BIN)/vtg models pull rife >/dev/null 2>&1 || echo "rife could not be fetched: tests with its weights are skipped"
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-numerics: $(INSTALLED)
	$(BIN)/python scripts/check_numerics.py

fuzz: $(INSTALLED)
	VTG_FUZZ_CASES=$${VTG_FUZZ_CASES:-100000} $(BIN)/python -m pytest tests/fuzz -n 2 --dist worksteal

docs: $(INSTALLED)
	$(BIN)/python scripts/gen_cli_docs.py
	$(BIN)/python scripts/gen_timeline_schema.py
	$(BIN)/python scripts/gen_models_docs.py

examples: $(INSTALLED)
	$(BIN)/python scripts/make_examples.py
	@mkdir -p out
	$(BIN)/vtg interpolate examples/lake_a.jpg examples/lake_b.jpg --frames 9 --width 400 --overwrite -o out/readme.mkv --sheet out/readme.png
	$(BIN)/python -c "from PIL import Image; Image.open('out/readme.png').save('docs/images/demo.jpg', quality=90)"

bench: $(INSTALLED)
	@for script in benchmarks/bench_*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
