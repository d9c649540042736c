# Everything here needs only git, make and Python >= 3.11: uv is taken where it is, and otherwise
# installed through pip into .uv, an environment of its own, in the version and with the hashes of uv.txt.
PYTHON ?= python3
UV := $(or $(shell command -v uv),.uv/bin/uv)
BIN := .venv/bin
# As pip and git do: a company's proxy signs with a certificate that only the system's store has.
export UV_SYSTEM_CERTS ?= true
# Byte code is kept: the tests start hundreds of interpreters, and each would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

# Three for two cores: many tests wait for what they started.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) * 3 // 2 or 1)')

# The emulator of Lambda's runtime API ships in the wheel of aws-sam-cli, of which only it is kept.
EMULATOR := .tools/aws-lambda-rie
SAM_CLI = $(firstword $(shell grep ^aws-sam-cli tests/lambda_runtime/emulator.txt))
# The Python of the functions in stacksets/central-lambda.yaml, -stepfunctions.yaml and -events.yaml.
RUNTIME := 3.13
# Which of them the sam- targets are about.
TEMPLATE ?= central-lambda
STAGES := Start Scan Plan Apply Finish

# An independent emulator of AWS, for tests/contract.
MINISTACK := .tools/ministack/.installed
# A second S3, for the same.
SEAWEEDFS := .tools/seaweedfs/bin/weed

# What is deployed, and where; the AWS CLI's own variables say with which credentials.
STACK ?= sweeper
# What every account gets: member-role, or member-events, to each of REGIONS.
MEMBER ?= member-role
STACK_SET ?= $(STACK)-$(MEMBER)
# SELF in the management account, DELEGATED_ADMIN in a delegated administrator of StackSets.
CALL_AS ?= SELF
IMAGE ?= sweeper
# From the environment, as they are: nothing in a value means anything to make or the shell.
stackset-deploy: export STACK_SET := $(STACK_SET)
stackset-deploy: export CALL_AS := $(CALL_AS)
stackset-deploy: export MEMBER := $(MEMBER)
# The deployer role, where the service control policy lets no other one change the central roles.
AS_ROLE = $(if $(ROLE_ARN),--role-arn $(ROLE_ARN))
SAM = $(or $(shell command -v sam),$(UV) tool run --from $(SAM_CLI) sam)

.PHONY: help install demo test test-all check faults kills soak fuzz mutants image-test bench bench-full bench-peers bench-html screenshots schema \
	commands reasons goldens clean \
	build build-Function sam-package sam-test sam-deploy sam-tail-logs stackset-deploy stackset-status destroy

help: ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(filter .uv/%,$(UV)): uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; choose one with make PYTHON=python3.x")'
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

.venv/.installed: pyproject.toml uv.lock | $(filter .uv/%,$(UV))
	$(UV) sync --locked --quiet --python $(PYTHON) --no-python-downloads
	@touch $@

install: .venv/.installed ## make .venv from the lock file

$(EMULATOR): tests/lambda_runtime/emulator.txt | install
	rm -rf .tools/sam
	$(UV) pip install --quiet --python $(BIN)/python --target .tools/sam --no-deps --no-build --require-hashes -r $<
	install -m 755 .tools/sam/samcli/local/rapid/aws-lambda-rie-$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64) $@
	rm -rf .tools/sam

$(MINISTACK): tests/contract/ministack.txt | install
	$(UV) venv --quiet --clear --python $(PYTHON) --no-python-downloads $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --no-build --require-hashes -r $<
	@touch $@

$(SEAWEEDFS): tests/contract/seaweedfs.txt | install
	rm -rf .tools/seaweedfs
	$(UV) pip install --quiet --python $(BIN)/python --target .tools/seaweedfs --no-deps --no-build --require-hashes -r $<
	@touch $@

demo: install ## sweep an embedded organization: no AWS account, no network
	$(BIN)/sweeper demo

test: install ## run the tests: every promise once, in three minutes
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: install $(EMULATOR) $(MINISTACK) $(SEAWEEDFS) ## run the slow tests too, with more examples and branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal --hypothesis-profile=thorough
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: install ## format, lint, types, import contracts, templates, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint stacksets/*.yaml
	$(BIN)/hadolint Dockerfile

faults: install ## every fault, alone and together, upon 200 accounts of 17 regions: half an hour
	$(BIN)/python -m tests.reliability.faults

kills: install ## kill -9 at random moments of runs that write, and --resume: a quarter of an hour
	$(BIN)/python -m tests.reliability.kills

soak: install ## twenty sweeps in one process: nothing grows
	$(BIN)/python -m tests.reliability.soak

fuzz: install ## damaged configuration, journals, leases, reports and answers of AWS, at length
	EXAMPLES=1000 $(BIN)/pytest tests/fuzz --hypothesis-profile=thorough

mutants: install ## a hundred mutants of what decides on writes and reports: hours
	$(UV) pip install --quiet --python $(BIN)/python mutmut==3.8.1
	$(BIN)/python -m tests.mutants

image-test: install $(EMULATOR) ## build the container image and run it as a task and as a Lambda (root; buildah, podman, runc)
	REQUIRE_CONTAINERS=1 $(BIN)/pytest -v tests/image

bench: install ## what a sweep costs beside the alternatives: 5 minutes
	$(BIN)/python -m benchmarks

bench-full: install ## the same for up to 10,000 accounts, and with throttled ones: half an hour
	$(BIN)/python -m benchmarks --full

bench-peers: install ## the same beside other tools, which are installed first
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks --scenario peers

bench-html: install ## what the HTML report of a large organization weighs, and how soon it can be used; needs Chromium
	$(BIN)/python -m benchmarks --scenario html

screenshots: install ## write docs/images anew from a demo run; needs Chromium
	$(BIN)/python -m tests.screenshots

build: ## the container image, for the architecture of this machine
	$(or $(shell command -v docker),$(shell command -v buildah),docker) build --build-arg REVISION=$$(git rev-parse HEAD) --tag $(IMAGE) .

# What sam build runs for each function: the locked dependencies as wheels for Lambda, and the package.
# It is run in this folder: a copy of it, which sam makes otherwise, would hold .venv and .tools too.
build-Function $(STAGES:%=build-%Function): $(filter .uv/%,$(UV))
	$(UV) export --locked --quiet --no-dev --no-emit-project --output-file "$(ARTIFACTS_DIR)/requirements.txt"
	$(UV) pip install --quiet --target "$(ARTIFACTS_DIR)" --only-binary :all: --require-hashes \
		--python-platform x86_64-manylinux_2_28 --python-version $(RUNTIME) --requirement "$(ARTIFACTS_DIR)/requirements.txt"
	cp -R sweeper "$(ARTIFACTS_DIR)/"

sam-package: $(filter .uv/%,$(UV)) ## build the packages of TEMPLATE's functions in .aws-sam
	$(SAM) validate --lint --template stacksets/$(TEMPLATE).yaml
	$(SAM) build --build-in-source --template stacksets/$(TEMPLATE).yaml

sam-test: install $(EMULATOR) ## validate and build the Lambda's package, and run it under Lambda's emulator
	$(BIN)/pytest -v tests/lambda_runtime/test_package.py

sam-deploy: sam-package ## deploy TEMPLATE, central-lambda, central-stepfunctions or central-events; PARAMETERS="Key=value ..."
	$(SAM) deploy --stack-name $(STACK) --resolve-s3 --capabilities CAPABILITY_NAMED_IAM $(if $(PARAMETERS),--parameter-overrides $(PARAMETERS)) $(AS_ROLE)

sam-tail-logs: ## follow the log of the stack's functions
	$(SAM) logs --stack-name $(STACK) --tail

stackset-deploy: install ## create or update the StackSet of MEMBER, member-role or member-events; OUS="ou-..." PARAMETERS="CentralRoleArn=... OrganizationId=o-..."
	@$(BIN)/python -m stacksets.deploy --template "$$MEMBER" --stack-set "$$STACK_SET" --call-as "$$CALL_AS" --ous "$$OUS" --regions "$$REGIONS" \
		--parameters "$$PARAMETERS"

stackset-status: ## where the member role is, and where it is not
	aws cloudformation list-stack-instances --call-as $(CALL_AS) --stack-set-name $(STACK_SET) --output table \
		--query 'Summaries[].{Account:Account,OU:OrganizationalUnitId,Status:StackInstanceStatus.DetailedStatus,Reason:StatusReason}'

destroy: ## delete the central stack; its reports and their key are kept
	aws cloudformation delete-stack --stack-name $(STACK) $(AS_ROLE)
	aws cloudformation wait stack-delete-complete --stack-name $(STACK)

schema: install ## write the JSON schemas in docs/ anew
	$(BIN)/python -m sweeper.reporting.published report > docs/report.schema.json
	$(BIN)/python -m sweeper.reporting.published events > docs/events.schema.json
	$(BIN)/sweeper config schema > docs/config.schema.json

commands: install ## write docs/commands.md anew
	$(BIN)/python -m tests.commands_page > docs/commands.md

reasons: install ## write docs/reasons.md anew
	$(BIN)/python -m sweeper.reporting.published reasons > docs/reasons.md

goldens: install ## write the golden texts of the tests anew; look at the difference
	WRITE_GOLDENS=1 $(BIN)/pytest -n 0 $$(grep -l assert_golden -r tests --include='test_*.py')

clean: ## remove what the other targets made
	rm -rf .venv .uv .tools .aws-sam dist sweeper-demo* benchmarks/results benchmarks/.peers .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
