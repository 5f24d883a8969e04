# make run      build, and go from nothing to a first answer; ARGS=--once ends after it
# make test     everything that must hold; .ci/run calls it
# make bench    the measurements of BENCHMARKS.md, as JSON
# make soak     kills at each step and at random moments, many tenants asleep, and many that chat;
#               KILLS=10000 TENANTS=500 CHATTING=100 MESSAGES=1000
# make fuzz     what reads strangers' bytes, against made-up ones; TIME=60 seconds
# make install  programs, systemd unit and documents; PREFIX=/usr/local, DESTDIR for packagers
# make fix      format, and apply what clippy can apply

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := run

ARGS ?=
TIME ?= 60
PREFIX ?= /usr/local
DESTDIR ?=
SDK := tests/sdk
CLIENTS := tests/clients
BIN := target/release

# $(call need,CONDITION,PACKAGES): where CONDITION fails, installs PACKAGES with apt.
export PATH := $(PATH):/usr/sbin:/sbin
define need
if ! { $(1); } >/dev/null 2>&1; then
  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing: $(2) (named as Debian and Ubuntu do); install it and try again" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) </dev/null
fi
endef

KILLS ?= 10000

.PHONY: run build test check sdk clients stores networks bench soak fuzz install uninstall fix

run: build
	@$(BIN)/openclawmu quickstart $(ARGS)

# mkfs.ext4 makes the fixed-size disks of tenants, which only root can mount.
DISKS := [ "$$(id -u)" != 0 ] || command -v mkfs.ext4
# The second way to make sandboxes; the gateway runs without. Only root can install it.
BWRAP := [ "$$(id -u)" != 0 ] || command -v bwrap

build:
	@$(call need,command -v cc,gcc libc6-dev)
	$(call need,$(DISKS),e2fsprogs)
	$(call need,$(BWRAP),bubblewrap)
	cargo build --release --locked --package openclawmu --package openclawmu-worker

# In the order in which a mistake costs least; the tests come last, so that their summary ends the output.
test: check sdk clients stores networks
	@$(call need,$(DISKS),e2fsprogs)
	$(call need,$(BWRAP),bubblewrap)
	$(call need,command -v setpriv,util-linux)
	$(call need,command -v strace,strace)
	$(call need,command -v ip,iproute2)
	set -x
	cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version 0.9.143
	cargo build --workspace --locked --bins --examples
	cargo nextest run --workspace --locked --profile ci

# tests/it/tidy.rs holds deny.toml's rules as well, hence cargo-deny only where it is.
check:
	@$(call need,command -v cc,gcc libc6-dev)
	set -x
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --locked --no-deps
	if cargo deny --version >/dev/null 2>&1; then
	  cargo deny check bans licenses sources
	fi

# The official SDKs, which the tests drive as they are.
sdk:
	@$(call need,python3 -c 'import ensurepip',python3 python3-venv)
	$(call need,command -v node,nodejs)
	$(call need,command -v npm,npm)
	if ! cmp -s $(SDK)/requirements.txt $(SDK)/venv/installed; then
	  rm -rf $(SDK)/venv
	  python3 -m venv $(SDK)/venv
	  $(SDK)/venv/bin/pip install --quiet --no-deps --requirement $(SDK)/requirements.txt
	  cp $(SDK)/requirements.txt $(SDK)/venv/installed
	fi
	if ! cmp -s $(SDK)/package-lock.json $(SDK)/node_modules/installed; then
	  npm ci --prefix $(SDK) --no-audit --no-fund --silent
	  cp $(SDK)/package-lock.json $(SDK)/node_modules/installed
	fi

# A real S3 service, a second client of it, and another cryptography, for the tests of backups.
STORES := tests/backup
stores:
	@$(call need,python3 -c 'import ensurepip',python3 python3-venv)
	$(call need,command -v zstd,zstd)
	$(call need,command -v curl,curl)
	if ! cmp -s $(STORES)/requirements.txt $(STORES)/venv/installed; then
	  rm -rf $(STORES)/venv
	  python3 -m venv $(STORES)/venv
	  $(STORES)/venv/bin/pip install --quiet --no-deps --requirement $(STORES)/requirements.txt
	  cp $(STORES)/requirements.txt $(STORES)/venv/installed
	fi

# Servers of the networks on which people talk, and the libraries with which their bots are written.
NETWORKS := tests/networks
networks:
	@$(call need,python3 -c 'import ensurepip',python3 python3-venv)
	$(call need,command -v ngircd,ngircd)
	if ! cmp -s $(NETWORKS)/requirements.txt $(NETWORKS)/venv/installed; then
	  rm -rf $(NETWORKS)/venv
	  python3 -m venv $(NETWORKS)/venv
	  $(NETWORKS)/venv/bin/pip install --quiet --no-deps --requirement $(NETWORKS)/requirements.txt
	  cp $(NETWORKS)/requirements.txt $(NETWORKS)/venv/installed
	fi

# OpenClaw's own programs and libraries, with the Node that they need, and what their screens are shown on.
clients:
	@$(call need,command -v npm,nodejs npm)
	$(call need,command -v chromium,chromium)
	$(call need,command -v tmux,tmux)
	if ! cmp -s $(CLIENTS)/package-lock.json $(CLIENTS)/node_modules/installed; then
	  npm ci --prefix $(CLIENTS) --ignore-scripts --no-audit --no-fund --silent
	  $(CLIENTS)/node_modules/node-linux-*/bin/node --version
	  cp $(CLIENTS)/package-lock.json $(CLIENTS)/node_modules/installed
	fi

# Built at once: packages that are built one by one share fewer of their libraries' builds.
bench: $(if $(findstring backup,$(ARGS)),stores)
	@$(call need,command -v cc,gcc libc6-dev)
	$(call need,$(DISKS),e2fsprogs)
	$(call need,$(BWRAP),bubblewrap)
	$(call need,command -v zstd,zstd)
	cargo build --release --locked --package openclawmu --package openclawmu-worker --package benches \
	  --package sandbox --package tenants --bins --example run --example roots
	$(BIN)/bench $(ARGS)

# The long forms of tests/it/delivery/{points,storm}.rs, tests/it/channels/{kills/steps,soak}.rs and
# tests/it/sleep/many.rs; they print their counts.
TENANTS ?= 500
CHATTING ?= 100
MESSAGES ?= 1000
soak: networks
	@$(call need,command -v strace,strace)
	cargo build --workspace --locked --bins --examples
	for test in sleep::many delivery::points delivery::storm channels::kills; do
	  TENANTS=$(TENANTS) POINTS=all KILLS=$(KILLS) cargo test --locked --package tests --test it -- $$test --nocapture
	done
	cargo build --release --workspace --locked --bins --examples
	TENANTS=$(CHATTING) MESSAGES=$(MESSAGES) cargo test --release --locked --package tests --test it -- channels::soak --nocapture

# What libFuzzer asks of a compiler. It is in no other build, hence the target folder of its own.
COVERAGE := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
  -Ccodegen-units=1

# Tried first: fuzz/corpus, written by hand, and fuzz/found.tar.gz, what earlier runs found. With KEEP=1
# what this run adds to what is covered is kept there too.
KEEP ?=
fuzz:
	@$(call need,command -v c++,g++)
	host=$$(rustc --print host-tuple)
	RUSTC_WORKSPACE_WRAPPER= RUSTFLAGS="$(COVERAGE)" \
	  nice cargo build --manifest-path fuzz/Cargo.toml --release --locked --bins --target "$$host"
	cd fuzz
	mkdir -p target/corpus target/found target/kept
	tar -xzf found.tar.gz -C target/corpus
	ulimit -s 1024
	declare -A running
	for seeds in corpus/*; do
	  name=$${seeds##*/}
	  mkdir -p "target/corpus/$$name"
	  nice "target/$$host/release/$$name" -max_total_time=$(TIME) -timeout=10 -print_final_stats=1 \
	    -artifact_prefix="target/found/$$name-" "target/corpus/$$name" "$$seeds" >"target/$$name.log" 2>&1 &
	  running[$$name]=$$!
	done
	failed=0
	for name in "$${!running[@]}"; do
	  wait "$${running[$$name]}" || { tail -n 40 "target/$$name.log"; failed=1; }
	  grep -E 'DONE|number_of_executed_units' "target/$$name.log" | sed "s/^/$$name: /" || true
	done
	if [ -n "$(KEEP)" ] && [ $$failed = 0 ]; then
	  for seeds in corpus/*; do
	    name=$${seeds##*/}
	    rm -rf "target/kept/$$name" && mkdir "target/kept/$$name"
	    nice "target/$$host/release/$$name" -set_cover_merge=1 \
	      "target/kept/$$name" "$$seeds" "target/corpus/$$name" >"target/$$name.log" 2>&1
	  done
	  tar -C target/kept --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n >found.tar.gz
	fi
	exit $$failed

install: build
	@install -D -m 0755 $(BIN)/openclawmu "$(DESTDIR)$(PREFIX)/bin/openclawmu"
	install -D -m 0755 $(BIN)/openclawmu-worker "$(DESTDIR)$(PREFIX)/bin/openclawmu-worker"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/system"
	sed 's|@PREFIX@|$(PREFIX)|' packaging/openclawmu.service >"$(DESTDIR)$(PREFIX)/lib/systemd/system/openclawmu.service"
	install -d "$(DESTDIR)$(PREFIX)/share/doc/openclawmu"
	install -m 0644 README.md ARCHITECTURE.md SECURITY.md CHANGELOG.md LICENSE packaging/openclawmu.json5 \
	  "$(DESTDIR)$(PREFIX)/share/doc/openclawmu"
	install -d -m 0700 "$(DESTDIR)/var/lib/openclawmu"

# Leaves the state directory: it is the tenants', not the program's.
uninstall:
	@rm -f "$(DESTDIR)$(PREFIX)/bin/openclawmu" "$(DESTDIR)$(PREFIX)/bin/openclawmu-worker"
	rm -f "$(DESTDIR)$(PREFIX)/lib/systemd/system/openclawmu.service"
	rm -rf "$(DESTDIR)$(PREFIX)/share/doc/openclawmu"

fix:
	@cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
