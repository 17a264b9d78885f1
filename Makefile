# Everything a person or the CI calls. `make` builds, `make train` trains MNIST, `make test`
# tests; `make help` lists the rest.

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: build train test race vet lint generate cross bench bench-peers compare figures clean help

build: ## build ./trainer
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o trainer ./cmd/trainer

train: build ## build, then train MNIST on the best device present
	./trainer

test: ## run all the tests
	$(GO) test ./...

race: ## run the tests of the concurrent packages under the race detector
	$(GO) test -race ./cpu/internal/parallel ./nn/data
	$(GO) test -race -run Threads ./cpu
	$(GO) test -race -short ./nn/train

vet: ## go vet, with and without CUDA, and without the assembly
	$(GO) vet ./...
	CGO_ENABLED=0 $(GO) vet ./...
	$(GO) vet -tags cuda ./...
	$(GO) vet -tags noasm ./...

lint: vet ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || (echo 'gofmt: the files above need gofmt -w' >&2; exit 1)
	$(GO) tool staticcheck ./...

generate: ## write the assembly again
	$(GO) generate ./...

cross: ## build without C for other systems
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/trainer
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/trainer
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/trainer

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench ./bench

bench-peers: PYTHON ?= python3
bench-peers: ## compare with PyTorch and TensorFlow (installs them once): ARGS='-rounds 1'
	@command -v $(PYTHON) >/dev/null || { echo 'bench-peers: there is no $(PYTHON); it needs Python 3.11 to 3.13' >&2; exit 1; }
	GO='$(GO)' $(PYTHON) bench/peers/run.py $(ARGS)
	GO='$(GO)' $(PYTHON) bench/peers/run.py -conv $(ARGS)

compare: ## compare the benchmarks of two commits: OLD=... NEW=... (or the working tree)
	./scripts/compare.sh '$(OLD)' '$(NEW)' $(PATTERN)

figures: build ## draw the networks of docs/backpropagation.md again
	./scripts/figures.sh

clean: ## remove what was built; runs/ stays
	rm -f trainer trainer.exe

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
