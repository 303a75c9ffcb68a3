# Two commands do all the set-up: `make demo` and `make test`. The others are for those who carry
# callbox on; `make ci` is what runs before anything lands.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
VIRTCARD := $(TARGET)/virtcard/libasound_module_pcm_virtcard.so

.PHONY: deny demo-test demo test ci bench tools packages-demo packages-test lint test-rust test-npm test-browser test-lan doc clean

## Start a core server, a web phone and a station on this machine
demo: packages-demo
	$(CARGO) build --release
	$(TARGET)/release/callbox sandbox

## Everything that is quick enough to run before every commit
test: packages-test lint test-rust test-npm test-browser test-lan
	@echo "All tests passed. Pictures of both pages: $(TARGET)/artifacts/"

## What runs before anything lands
ci: test doc deny demo-test

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

test-rust: $(VIRTCARD)
	$(CARGO) build
	$(CARGO) test

test-npm: tests/node_modules
	$(CARGO) build
	cd tests && node --test npm/

test-browser: tests/node_modules $(VIRTCARD)
	$(CARGO) build
	cd tests && node --test --test-concurrency=1 browser/

test-lan: tests/node_modules
	$(CARGO) build
	scripts/lan-test

## Figures, not gates: release build, beside Debian's baresip
bench: packages-test $(VIRTCARD)
	$(CARGO) build --release
	scripts/bench

doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --no-deps --document-private-items

# Built once, outside the clone.
DENY := $(HOME)/.cache/callbox-tools/bin/cargo-deny

deny: $(DENY)
	$(DENY) check bans licenses sources

$(DENY):
	CARGO_TARGET_DIR=$(HOME)/.cache/callbox-tools/target $(CARGO) install cargo-deny --locked --root $(HOME)/.cache/callbox-tools

demo-test:
	scripts/demo-test

tools: $(VIRTCARD) tests/node_modules

$(VIRTCARD): tests/soundcard/virtcard.c
	mkdir -p $(@D)
	cc -shared -fPIC -O2 -DPIC -o $@ $< -lasound

tests/node_modules: tests/package.json tests/package-lock.json
	cd tests && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

packages-demo:
	scripts/install-packages libasound2-dev cmake pkg-config gcc g++

packages-test:
	scripts/install-packages libasound2-dev cmake pkg-config gcc g++ chromium alsa-utils curl iproute2 libnss3-tools baresip coturn nodejs

clean:
	$(CARGO) clean
	rm -rf tests/node_modules
