# Everything here needs only git, make and Python >= 3.11: uv is taken where it is, and otherwise
# installed through pip into .uv, an environment of its own.
PYTHON ?= python3
UV := $(or $(shell command -v uv),.uv/bin/uv)
BIN := .venv/bin

# The emulator of Lambda's runtime API ships in the wheel of aws-sam-cli, of which only it is kept.
EMULATOR := .tools/aws-lambda-rie

.PHONY: help install demo test check image-test bench bench-full bench-peers schema clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(filter .uv/%,$(UV)):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; choose one with make PYTHON=python3.x")'
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv

.venv/.installed: pyproject.toml uv.lock | $(filter .uv/%,$(UV))
	$(UV) sync --locked --quiet --python $(PYTHON) --no-python-downloads
	@touch $@

install: .venv/.installed ## make .venv from the lock file

$(EMULATOR): tests/lambda_runtime/emulator.txt | install
	rm -rf .tools/sam
	$(UV) pip install --quiet --python $(BIN)/python --target .tools/sam --no-deps --no-build --require-hashes -r $<
	install -m 755 .tools/sam/samcli/local/rapid/aws-lambda-rie-$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64) $@
	rm -rf .tools/sam

demo: install ## sweep an embedded organization: no AWS account, no network
	$(BIN)/sweeper demo

test: install $(EMULATOR) ## run the tests, with their branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: install ## format, lint, types, layers, and what the README promises
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

image-test: install $(EMULATOR) ## build the container image and run it as a task and as a Lambda (root; buildah, podman, runc)
	$(BIN)/python -m tests.image

bench: install ## what a sweep costs beside the alternatives: 3 minutes
	$(BIN)/python -m benchmarks

bench-full: install ## the same for up to 10,000 accounts, and with throttled ones: a quarter of an hour
	$(BIN)/python -m benchmarks --full

bench-peers: install ## the same beside other tools, which are installed first
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks --scenario peers

schema: install ## write docs/report.schema.json anew
	$(BIN)/python -m sweeper.formats.schema > docs/report.schema.json

clean: ## remove what the other targets made
	rm -rf .venv .uv .tools dist sweeper-demo benchmarks/results benchmarks/.peers .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
