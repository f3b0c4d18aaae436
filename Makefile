# The entry point of all work. `make` alone lists the targets. CI runs only these targets (.ci/run).

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= /usr/local

# Where DuckDB comes from: `prebuilt` (DuckDB's own library, fetched by npm), `system` (the library in
# DUCKDB_LIB_DIR) or `bundled` (compiled in). output/libduckdb/README.md says when to choose which.
DUCKDB ?= prebuilt
# A store that `make interop` reads. Empty: `make interop` makes one with `boxseat demo`.
BOXSEAT_INTEROP_STORE ?=

# Size of `make soak`: runs with faults and their seed, runs of the year without faults, small enterprises in which seats are
# reclaimed, mutations of legal responses for a crawl, and damages of a store.
NIGHTS ?= 60
SEED ?= 1
YEAR_NIGHTS ?= 365
WORLDS ?= 100000
MUTATIONS ?= 100000
DAMAGES ?= 100000

# Seconds for which `make fuzz` runs each target, and the number of inputs of each target in `make soak`. SEED is used here, too.
SECONDS ?= 60
FUZZ_INPUTS ?= 10000000

.DEFAULT_GOAL := help

features :=
ifeq ($(DUCKDB),prebuilt)
# The same directory as in .cargo/config.toml. Here it overrides a DUCKDB_LIB_DIR that is set in the environment.
export DUCKDB_LIB_DIR := $(CURDIR)/output/libduckdb/lib
endif
ifeq ($(DUCKDB),bundled)
features := --features bundled
endif
ifeq ($(filter prebuilt system bundled,$(DUCKDB)),)
$(error DUCKDB is `$(DUCKDB)`; it can be prebuilt, system or bundled)
endif

# Which build `make dist` packs: release, or dev for tests of the package.
PROFILE ?= release

# What `boxseat --version -v` names, with `-dirty` if files were changed. Empty outside of a repository.
commit = $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null)

# cargo is called only where a recipe needs the directory. CARGO_TARGET_DIR is not the only setting that can move it.
target = $(or $(shell $(CARGO) metadata --format-version 1 --no-deps | \
	sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'),$(error cargo does not say where it builds))

.PHONY: help
help: ## Show this list
	@echo "make TARGET [DUCKDB=prebuilt|system|bundled]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# `demo`, `test`, `build` and `interop` share one profile and one set of features (`check` compares them), so that a
# fresh machine compiles the dependencies once.

.PHONY: demo
demo: libduckdb ## Run a month of daily snapshots against the simulator, into ./demo; no Box account needed
	$(CARGO) run -p boxseat $(features) -- demo

.PHONY: test
test: libduckdb ## Run all tests of the workspace
	$(CARGO) test --workspace $(features)

.PHONY: soak
soak: libduckdb ## Run the long forms of the tests in release mode, many hours; NIGHTS=60 SEED=1 YEAR_NIGHTS=365 WORLDS=100000 MUTATIONS=100000 DAMAGES=100000 FUZZ_INPUTS=10000000 bound them
	@# Sequentially, because the duration of the simulated year is measured.
	BOXSEAT_SOAK_NIGHTS="$(NIGHTS)" BOXSEAT_SOAK_SEED="$(SEED)" BOXSEAT_SOAK_YEAR_NIGHTS="$(YEAR_NIGHTS)" \
		$(CARGO) test --release --workspace $(features) --test e2e -- --ignored --show-output --test-threads=1
	BOXSEAT_RECLAIM_SEED="$(SEED)" BOXSEAT_RECLAIM_WORLDS="$(WORLDS)" \
		$(CARGO) test --release --workspace $(features) --test model -- --show-output
	BOXSEAT_MUTATION_SEED="$(SEED)" BOXSEAT_MUTATIONS="$(MUTATIONS)" \
		$(CARGO) test --release --workspace $(features) --lib mutations -- --show-output
	BOXSEAT_DAMAGE_SEED="$(SEED)" BOXSEAT_DAMAGES="$(DAMAGES)" \
		$(CARGO) test --release --workspace $(features) --test e2e damage:: -- --show-output
	BOXSEAT_FUZZ_SEED="$(SEED)" BOXSEAT_FUZZ_INPUTS="$(FUZZ_INPUTS)" \
		$(CARGO) test --release --workspace $(features) --lib --bins fuzz_ -- --show-output
	@echo 'Reports: $(target)/tmp/soak-report.md and soak-year-report.md'

.PHONY: fuzz
fuzz: libduckdb ## Feed mutated files and responses to every parser, SECONDS=60 each, one target per core at a time
	@# The tests are the same binaries as those of `make test`, so nothing is compiled twice.
	BOXSEAT_FUZZ_SEED="$(SEED)" BOXSEAT_FUZZ_SECONDS="$(SECONDS)" \
		$(CARGO) test --workspace $(features) --lib --bins fuzz_ -- --show-output

.PHONY: advisories
advisories: ## Compare Cargo.lock with the known security advisories
	.ci/advisories

.PHONY: sbom
sbom: ## Write a CycloneDX list of what the program is built from: boxseat.cdx.json in the target directory
	@mkdir -p "$(target)"
	.ci/sbom > "$(target)/boxseat.cdx.json"
	@echo '$(target)/boxseat.cdx.json'

.PHONY: build
build: libduckdb ## Build the program for development
	$(CARGO) build --workspace $(features)

.PHONY: check
check: check-format check-layers check-dependencies check-supply-chain check-features check-lints ## Check format, dependencies and lints; all must be clean

.PHONY: check-format
check-format:
	$(CARGO) fmt --all --check

.PHONY: check-layers
check-layers:
	.ci/layers

.PHONY: check-dependencies
check-dependencies:
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
		echo 'cargo-deny is not here. `cargo install cargo-deny --locked` brings it; `make ci` does so by itself.' >&2; \
		exit 1; }
	$(CARGO) deny --log-level error check bans licenses sources

.PHONY: check-supply-chain
check-supply-chain:
	.ci/supply-chain

.PHONY: check-features
check-features:
	.ci/features

.PHONY: check-lints
check-lints: libduckdb
	$(CARGO) clippy --locked --workspace --all-targets $(features) -- -D warnings

.PHONY: interop
interop: libduckdb ## Run other programs: DuckDB 1.0 to 2.0, delta-rs, Polars and Spark read a store, Box's SDK calls the simulator
	$(CARGO) build -p boxseat $(features)
ifeq ($(BOXSEAT_INTEROP_STORE),)
	rm -rf "$(target)/interop/store"
	$(CARGO) run -q -p boxseat $(features) -- --store "$(target)/interop/store" demo
	PYTHON="$(PYTHON)" tests/interop/run "$(target)/interop" "$(target)/interop/store"
else
	PYTHON="$(PYTHON)" tests/interop/run "$(target)/interop" "$(BOXSEAT_INTEROP_STORE)"
endif

.PHONY: browser-test
browser-test: libduckdb ## Test the HTML page in Chromium: hostile names, sorting, phone, print, accessibility; keeps the screenshots
	$(CARGO) build -p boxseat $(features)
	tests/browser/run "$(target)/browser" "$(target)/debug/boxseat"

.PHONY: bench
bench: libduckdb ## Measure the release build and dlt, and write bench/report.md; MEASURES="lake --quick" for a part
	$(CARGO) build --release -p boxseat -p boxseat-bench $(features)
	PYTHON="$(PYTHON)" bench/run "$(target)/bench" "$(target)/release/boxseat-bench" $(MEASURES)

.PHONY: doc
doc: libduckdb ## Write docs/dictionary.md (every table and column), the codes in docs/reclamation.md and the crates' pages; a broken link fails
	$(CARGO) run -q -p boxseat $(features) -- schema --markdown > docs/dictionary.md.new
	mv docs/dictionary.md.new docs/dictionary.md
	BOXSEAT_CODES=record $(CARGO) test --workspace $(features) --lib codes::tests::page_
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps $(features)

.PHONY: contract
contract: libduckdb ## Record added tables and columns in the contract
	BOXSEAT_CONTRACT=record $(CARGO) test --workspace $(features) --lib contract::

.PHONY: ci
ci: ## Install missing tools, then run the same checks as CI
	.ci/run

.PHONY: install
install: libduckdb ## Build for release and install under PREFIX (default /usr/local)
ifeq ($(DUCKDB),prebuilt)
	BOXSEAT_COMMIT="$(commit)" BOXSEAT_RPATH=relative $(CARGO) build --release --locked -p boxseat
else
	BOXSEAT_COMMIT="$(commit)" $(CARGO) build --release --locked -p boxseat $(features)
endif
	output/libduckdb/install $(DUCKDB) "$(target)/release/boxseat" "$(DESTDIR)$(PREFIX)"

.PHONY: dist
dist: libduckdb ## Write a tarball and a .deb for this machine's architecture into dist/ of the target directory; PROFILE=dev packs the development build
	@[ "$(DUCKDB)" = prebuilt ] || { echo 'make dist packs only DUCKDB=prebuilt: its library has a known digest.' >&2; exit 2; }
	jobs/deploy/dist "$(PROFILE)" "$(target)"

.PHONY: check-deploy
check-deploy: libduckdb ## Pack the development build, install it into a directory, and check unit files, crontab, CronJob and contents
	jobs/deploy/dist dev "$(target)"
	jobs/deploy/check "$(target)"

.PHONY: reproducible
reproducible: ## Build the packages of the last commit twice, in two directories, and compare them; two release builds
	jobs/deploy/reproduce "$(target)/reproducible" "$(PROFILE)"

.PHONY: clean
clean: ## Remove everything that was built or fetched, and ./demo; keeps ./warehouse
	$(CARGO) clean
	rm -rf output/libduckdb/node_modules output/libduckdb/lib demo

.PHONY: libduckdb
ifeq ($(DUCKDB),prebuilt)
libduckdb: output/libduckdb/lib/.fetched ## Fetch DuckDB's own prebuilt library; the targets that need it do so

fetched_from := $(addprefix output/libduckdb/,package.json package-lock.json .npmrc SHA256SUMS check fetch)
output/libduckdb/lib/.fetched: $(fetched_from) $(if $(wildcard output/libduckdb/lib/libduckdb.*),,again)
	output/libduckdb/fetch

.PHONY: again
again:
endif
ifeq ($(DUCKDB),system)
libduckdb:
	@case "$$DUCKDB_LIB_DIR" in /*) ;; *) \
		echo 'DUCKDB=system takes the library in DUCKDB_LIB_DIR, which must be a whole path.' >&2; exit 2 ;; esac
endif
ifeq ($(DUCKDB),bundled)
libduckdb:
endif
