# People and the continuous integration call the same targets. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := runs/fuse/demo

.DEFAULT_GOAL := help
.PHONY: help demo newcomer test slow faults kills fuzz lint type docs site sbom bench guard clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 10

demo: $(RUN)/predictions/predictions.json  ## synthetic pairs, training, schedule plot, detections
	@echo "demo: losses and rates     $(RUN)/results.csv"
	@echo "demo: learning rate        $(RUN)/lr.png"
	@echo "demo: detections on a pair $(RUN)/predictions"

newcomer:  ## the ten minutes of docs/quickstart.md in a fresh environment, timed
	PYTHON='$(PYTHON)' PIP_ARGS='$(PIP_ARGS)' .ci/newcomer

test: $(READY)  ## the tests that take some seconds each at most
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

slow: $(READY)  ## the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 --dist worksteal

faults: $(READY)  ## the table of faults that a training survives, each one tried
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/table.py --write docs/resume.md

kills: $(READY)  ## kill a training 200 times at random instants, and compare; may be stopped
	$(BIN)/python tests/faults/kills.py --kills 200 --folder runs/kills

fuzz: $(READY)  ## read 5000 damaged files of each kind
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/fuzz.py

lint: $(READY)  ## ruff: rules and layout
	$(BIN)/ruff check
	$(BIN)/ruff format --check

type: $(READY)  ## mypy, strict
	$(BIN)/mypy

docs: $(READY)  ## draw the pictures of the documentation, and list the detectors
	$(BIN)/python docs/draw_schedules.py
	$(BIN)/python docs/list_models.py
	$(BIN)/python docs/list_overrides.py
	$(BIN)/python docs/list_symptoms.py
	$(BIN)/python docs/list_foreign_keys.py
	$(BIN)/python docs/list_commands.py
	$(BIN)/fusetrain config schema > docs/config.schema.json
	$(BIN)/fusetrain config schema --draft 07 > docs/config.draft-07.schema.json

site: $(READY)  ## the documentation as HTML in build/site/html, links checked
	$(BIN)/python -m pip install $(PIP_ARGS) -e '.[docs]'
	$(BIN)/python docs/build_site.py

sbom: $(READY)  ## bill of materials of what is installed (CycloneDX) in build/sbom.json
	$(BIN)/python .ci/sbom.py --out build/sbom.json --extra onnx --extra tensorboard --extra tune

bench: $(READY) demo/data.yaml  ## measure, quick ones first; hours; ROADSCENE=FOLDER adds real pairs
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/guard.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/check_rate.py --data demo/data.yaml $(if $(ROADSCENE),'$(ROADSCENE)')
	$(BIN)/python benchmarks/data_path.py
	$(BIN)/python benchmarks/step_split.py
	$(BIN)/python benchmarks/inference.py --threads 1
	$(BIN)/python benchmarks/startup.py --pip-args '$(PIP_ARGS)'
	$(BIN)/python benchmarks/parts.py --pip-args '$(PIP_ARGS)'
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/safety.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/peer_step.py --imgsz 320 640 --threads 1 --pip-args '$(PIP_ARGS)'
	$(BIN)/python benchmarks/time_to_accuracy.py --pip-args '$(PIP_ARGS)'
	$(if $(ROADSCENE),$(BIN)/python benchmarks/roadscene.py --data '$(ROADSCENE)' --seeds 0 1 2)
	$(if $(ROADSCENE),$(BIN)/python benchmarks/folds.py --data '$(ROADSCENE)')
	$(if $(ROADSCENE),$(BIN)/python benchmarks/time_to_accuracy.py --data '$(ROADSCENE)')

guard: $(READY)  ## fail where a training step has become 15 % slower, measured against a convolution
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/guard.py

clean:  ## remove the environment, the demo and all caches; other runs stay
	rm -rf $(VENV) benchmarks/.env demo $(RUN) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find fusetrain tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) -e '.[dev]'
	touch $@

demo/data.yaml: | $(READY)
	$(BIN)/fusetrain demo demo
	$(BIN)/fusetrain check-data demo/data.yaml

$(RUN)/.trained: demo/data.yaml
	if [ -e $(RUN)/weights/last.pt ]; then $(BIN)/fusetrain resume $(RUN); \
	else $(BIN)/fusetrain train --config demo/train.yaml --name $(notdir $(RUN)); fi
	touch $@

$(RUN)/lr.png: $(RUN)/.trained
	$(BIN)/fusetrain plot-lr $(RUN) --out $@

$(RUN)/predictions/predictions.json: $(RUN)/lr.png
	set -e; rgb=$$(ls demo/images/val/* | head -1); stem=$$(basename "$${rgb%.*}"); \
	$(BIN)/fusetrain predict $(RUN) --rgb "$$rgb" --ir "$$(ls demo/imagesIR/val/$$stem.*)" \
		--iou 0.5 --out $(RUN)/predictions
	touch $@
