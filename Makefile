# Everything a person or the CI calls. `make` builds, `make train` trains MNIST, `make test`
# tests; `make help` lists the rest.
#
# If there is a C compiler, the program is built with the CUDA device, and the device is vetted and
# tested too; `make CUDA=0` leaves it out.

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD := build -ldflags '$(LDFLAGS)' -o trainer

# The C compiler for the CUDA device; empty for a build without it. CUDA_GO is go with the
# environment that the device needs; NO_CUDA says why the device is left out.
CUDA_CC := $(shell CUDA='$(CUDA)' CC='$(CC)' GO='$(GO)' ./scripts/cuda-cc.sh 2>/dev/null)
CUDA_GO := . ./scripts/cuda-env.sh && CGO_ENABLED=1 CC='$(CUDA_CC)' $(GO)
NO_CUDA = CUDA device: $$(CUDA='$(CUDA)' CC='$(CC)' GO='$(GO)' ./scripts/cuda-cc.sh 2>&1)

.PHONY: build train test test-long fuzz notice race vet lint web site generate check-generated cross bench bench-peers conformance-peers export-peers gpu-report compare figures install dist clean help

build: ## build ./trainer, with CUDA if there is a C compiler
ifneq ($(CUDA_CC),)
	$(CUDA_GO) $(BUILD) -tags cuda ./cmd/trainer
	@echo 'built ./trainer with the CUDA device, using $(CUDA_CC); make CUDA=0 leaves it out'
else
	CGO_ENABLED=0 $(GO) $(BUILD) ./cmd/trainer
	@echo "built ./trainer without the $(NO_CUDA)"
endif

train: build ## build, then train MNIST on the best device available
	./trainer

# With a C compiler everything is tested with the tag cuda, and then what is said of a build without it.
test: ## run all the tests
ifneq ($(CUDA_CC),)
	$(CUDA_GO) test -tags cuda ./...
	$(GO) test ./gpu ./gpu/doctor
	$(GO) test ./cmd/trainer/internal/command -run 'CUDA|Device|Doctor|Version'
else
	$(GO) test ./...
	@echo "skipped: the tests of the $(NO_CUDA)"
endif

test-long: ## run the tests that take minutes: every recipe on the emulation of CUDA, the page without a server, bad clients, killed GPUs
	TRAINER_LONG_TESTS=1 $(GO) test ./cmd/trainer/internal/command -run 'BrowserSite|Siege' -timeout 60m
	TRAINER_LONG_TESTS=1 $(CUDA_GO) test -tags cuda ./gpu ./gpu/training -run 'Budget|RecipeParity|MixedPrecisionParity'
	TRAINER_LONG_TESTS=1 $(CUDA_GO) test -tags cuda ./cmd/trainer/internal/command -run 'GPUs(Killed|Vanish)' -timeout 60m

fuzz: ## run every fuzz target, two at a time: FUZZTIME=5s
	GO='$(GO)' FUZZTIME='$(or $(FUZZTIME),5s)' ./scripts/fuzz.sh

notice: ## write NOTICE, the licences of what is linked into the program
	GO='$(GO)' ./scripts/notice.sh

race: ## run the tests of the concurrent packages under the race detector
	$(GO) test -race -skip 'DecodeMemoryIsEnough|ResizedAllocatesNothing' ./cpu/internal/parallel ./nn/data # the detector's own memory counts there, and it empties pools
	$(GO) test -race -run Threads ./cpu
	$(GO) test -race -short -skip 'AllocatesNothing|ResumeRules|AccumulateResume' ./nn/train # the goroutines of those are in other tests, too

# Files without a build tag are vetted once, with the tag cuda if it can be used. What only other tags show is in few packages.
vet: ## go vet, with CUDA, without C, and without the assembly
ifneq ($(CUDA_CC),)
	$(CUDA_GO) vet -tags cuda ./...
else
	$(GO) vet ./...
	@echo "skipped: vet of the $(NO_CUDA)"
endif
	CGO_ENABLED=0 $(GO) vet ./gpu/... ./nn/ranks/... ./cmd/...
	$(GO) vet -tags noasm ./cpu/...

lint: vet ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || (echo 'gofmt: the files above need gofmt -w' >&2; exit 1)
ifneq ($(CUDA_CC),)
	$(CUDA_GO) tool staticcheck -tags cuda ./...
else
	$(GO) tool staticcheck ./...
	@echo "skipped: staticcheck of the $(NO_CUDA)"
endif

web: ## bundle the page of trainer serve
	GO='$(GO)' ./scripts/web.sh

site: ## write the page with the engine as WebAssembly, as static files, to site/: SITE=FOLDER MODEL=model.safetensors
	GO='$(GO)' ./scripts/site.sh '$(or $(SITE),site)' $(if $(MODEL),'$(MODEL)')

generate: ## regenerate the assembly
	$(GO) generate ./...

check-generated: ## check that CUDA's headers and PTX are what the scripts generate (downloads 1.5 GB once)
	./scripts/cuda-headers.sh --check
	./scripts/kernels.sh --check

cross: ## build for other systems, without C (linux/arm64 has the sources that darwin/arm64 and linux/amd64 have)
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/trainer
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/trainer

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench ./bench

bench-peers: PYTHON ?= python3
bench-peers: build ## compare with PyTorch and TensorFlow (installs them once): ARGS='-rounds 1'
	@command -v $(PYTHON) >/dev/null || { echo 'bench-peers: $(PYTHON) not found; it needs Python 3.11 to 3.13' >&2; exit 1; }
	GO='$(GO)' $(PYTHON) bench/peers/run.py $(ARGS)
	GO='$(GO)' $(PYTHON) bench/peers/run.py -conv $(ARGS)
	GO='$(GO)' $(PYTHON) bench/peers/run.py -load $(ARGS)
	@if [ -x ./trainer ] && command -v mpirun >/dev/null; then $(PYTHON) bench/peers/ddp.py; else echo 'bench-peers: no ./trainer or no mpirun: ranks beside DDP are left out'; fi

conformance-peers: PYTHON ?= python3
conformance-peers: ## compare numbers with ONNX's tests and PyTorch (installs them once): ARGS='-seed 2'
	@command -v $(PYTHON) >/dev/null || { echo 'conformance-peers: $(PYTHON) not found; it needs Python 3.11 to 3.13' >&2; exit 1; }
	GO='$(GO)' $(PYTHON) bench/conformance/run.py -out docs/results/conformance.md $(ARGS)

export-peers: PYTHON ?= python3
export-peers: ## check exported networks with ONNX Runtime and PyTorch (installs them once): CIFAR10=DIR
	GO='$(GO)' $(PYTHON) bench/export/check.py onnx
	GO='$(GO)' CIFAR10='$(CIFAR10)' $(PYTHON) bench/export/check.py accuracy
	GO='$(GO)' $(PYTHON) bench/export/check.py torch
	GO='$(GO)' $(PYTHON) bench/export/check.py imports

gpu-report: ## measure this machine's GPU, in 570 s at most: ARGS='-cifar10 DIR'; DRY=1 tries the script without a GPU
	GO='$(GO)' ./scripts/gpu-report.sh $(if $(DRY),dry,run) $(ARGS)

compare: ## compare the benchmarks of two commits: OLD=... NEW=... (or the working tree)
	./scripts/compare.sh '$(OLD)' '$(NEW)' $(PATTERN)

figures: build ## redraw the figures of docs/backpropagation.md
	./scripts/figures.sh

install: PREFIX ?= /usr/local
install: build ## install program, manual pages and completion: PREFIX=/usr/local DESTDIR=
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions' '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	install -m 755 trainer '$(DESTDIR)$(PREFIX)/bin/trainer'
	./trainer man '$(DESTDIR)$(PREFIX)/share/man/man1'
	./trainer completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/trainer'
	./trainer completion zsh >'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_trainer'
	./trainer completion fish >'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/trainer.fish'

dist: ## build the archives of a release for five systems, without CUDA, into dist/
	GO='$(GO)' ./scripts/dist.sh '$(VERSION)'

clean: ## remove built programs and dist/; keep runs/
	rm -f trainer trainer.exe
	rm -rf dist

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
