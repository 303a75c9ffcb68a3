# `make demo` and `make test` do all the set-up that they need. The other targets are for developers; `make ci` must
# pass before a change is merged.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
VIRTCARD := $(TARGET)/virtcard/libasound_module_pcm_virtcard.so

.PHONY: ci-fast ci-peers ci-long deny advisories demo-test demo test ci bench bench-arm bench-echo bench-sound test-speech sim mutants fuzz soak test-sim test-sim-long test-device test-arm test-cross test-arm-system arm64 armhf deb lint-unit lint-deb tools packages-demo packages-test packages-home test-home lint test-rust test-npm test-browser test-lan test-networks doc clean minimum-rust

## Start a telephony server, a web phone and a station on this machine
demo: packages-demo
	$(CARGO) build --release
	$(TARGET)/release/callbox sandbox

## The tests that are quick enough to run before every commit
test: packages-test lint test-rust test-sim test-npm test-browser test-lan
	@echo "All tests passed. Pictures of the pages: $(TARGET)/artifacts/"

## Everything that must pass before a change is merged
ci:
	scripts/ci $(CI_FAST) $(CI_PEERS) $(CI_LONG)

# Tiers, the fast one first: what is most often broken is found in the first ten minutes.
CI_FAST := packages-test lint minimum-rust doc deny lint-unit test-rust test-sim mutants
CI_PEERS := test-npm test-browser test-lan test-networks test-home test-speech demo-test
CI_LONG := test-sim-long test-device test-arm test-cross lint-deb
ci-fast:
	scripts/ci $(CI_FAST)
ci-peers:
	scripts/ci $(CI_PEERS)
ci-long:
	scripts/ci $(CI_LONG)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features --features mutants --test sim -- -D warnings

test-rust: $(VIRTCARD)
	$(CARGO) build
	$(CARGO) test --workspace
	$(CARGO) test --test media relay_cost -- --ignored --nocapture --test-threads=1

test-npm: tests/node_modules
	$(CARGO) build
	cd tests && node --test npm/

test-browser: tests/node_modules $(VIRTCARD)
	$(CARGO) build
	cd tests && node --test --test-concurrency=1 browser/

## Calls through kinds of networks: firewalls, relays, NATs, IPv6 alone, a proxy, a captive portal, changes in mid-call
test-networks: $(VIRTCARD)
	scripts/install-packages python3 iproute2 nftables conntrack openssl coturn squid tayga dnsmasq-base unbound
	$(CARGO) build
	python3 tests/networks/networks.py $(abspath $(TARGET))/debug/callbox $(abspath $(VIRTCARD))

## The systems of a house: Debian's mosquitto and Prometheus, a real Home Assistant, receivers of hooks
test-home: packages-home tests/node_modules $(VIRTCARD)
	$(CARGO) build
	python3 tests/home/hooks.py $(TARGET)/debug/callbox
	python3 tests/home/prometheus.py $(TARGET)/debug/callbox $$(tests/home/openapi.sh)
	python3 tests/home/mqtt.py $(TARGET)/debug/callbox
	python3 tests/home/apt.py
	tests/home/fleet.sh $(TARGET)/debug/callbox
	mkdir -p $(TARGET)/artifacts
	python3 tests/home/homeassistant.py $(TARGET)/debug/callbox $$(tests/home/homeassistant.sh) $(TARGET)/artifacts/home-assistant.png
	$(CARGO) build --release
	python3 tests/home/load.py $(TARGET)/release/callbox $(abspath $(VIRTCARD)) 30

packages-home: packages-test
	scripts/install-packages python3 python3-venv mosquitto mosquitto-clients prometheus apt-utils gnupg

test-lan: tests/node_modules
	$(CARGO) build
	scripts/lan-test

# The crate without the feature `daemon` (core, configuration, wire types and black box), with optimisation and all
# checks.
SIM := $(CARGO) test --no-default-features --profile sim --test sim --
YEARS_AT_A_DOOR := $(SIM) --nocapture what_must_never_happen

test-sim:
	YEARS=10 $(SIM) --nocapture

test-sim-long:
	YEARS=40 SEED=100 $(YEARS_AT_A_DOOR)

## Simulate years at a door from a seed: make sim SEED=7 YEARS=100
sim:
	$(YEARS_AT_A_DOOR)

## Switch deliberate bugs on in the core, one at a time; the simulator must find each of them
mutants:
	$(CARGO) test --no-default-features --features mutants --profile sim --test sim -- --nocapture --ignored

## Fuzz each target for two minutes; inputs that fail are written to fuzz/artifacts
FUZZ_TARGETS := signaling sdp configuration rtp control core guard stun dtls srtp ice_servers
FUZZ_SECONDS ?= 120
fuzz: export CARGO_TARGET_DIR := $(HOME)/.cache/callbox-fuzz
# docs/workarounds.md, "build: libfuzzer wants a nightly compiler".
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: packages-demo
	cargo_fuzz=$$(scripts/install-tool cargo-fuzz) || exit 1; for target in $(FUZZ_TARGETS); do \
		"$$cargo_fuzz" run $$target -- -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -timeout=20 -rss_limit_mb=4096 || exit 1; \
	done

## Make a thousand calls against the sandbox, and check memory, file descriptors and threads
soak: packages-demo
	CALLS=1000 $(CARGO) test --test sandbox calls_leave_nothing_behind -- --nocapture

## Check that no DTMF digit is detected in speech
test-speech:
	scripts/install-packages python3 asterisk-core-sounds-en-wav
	$(CARGO) build
	python3 tests/sound/digits.py $(TARGET)/debug/callbox

## Test the daemon in a virtual machine with its own kernel and network, which runs as a process (user-mode Linux)
test-device: packages-device
	$(CARGO) build --release
	tests/device/build.sh
	python3 tests/device/network.py $(TARGET)/release/callbox
	python3 tests/device/pins.py $(TARGET)/release/callbox
	$(CC) -Wall -Wextra -Werror -O1 -o $(TARGET)/keypad tests/device/keypad.c
	python3 tests/device/house.py $(TARGET)/release/callbox $(TARGET)/keypad
	python3 tests/device/examples.py $(TARGET)/release/callbox $(TARGET)/keypad
	python3 tests/device/raspberry.py $(TARGET)/release/callbox
	python3 tests/device/mixer.py $(TARGET)/release/callbox
	package=$$(scripts/deb amd64 | tail -1) && \
	python3 tests/device/service.py $$package $(TARGET)/release/callbox && \
	python3 tests/device/fleet.py $$package $(TARGET)/release/callbox

packages-device:
	scripts/install-packages python3 mmdebstrap e2fsprogs build-essential flex bison bc xz-utils

## Score the echo canceller and WebRTC's AEC3 with AECMOS: three seeds, two pairs of voices (half an hour)
ECHO_SEEDS ?= 1 2 3
ECHO_SCENES ?= 48
bench-echo:
	$(CARGO) build --release
	tests/echo/setup.sh en es fr it
	mkdir -p $(TARGET)/artifacts && : > $(TARGET)/artifacts/echo.txt
	for seed in $(ECHO_SEEDS); do for voices in en:es it:fr; do \
		scenes=$(TARGET)/echo/$$seed-$$voices; \
		tests/echo/venv/bin/python tests/echo/echo_rig.py make $$scenes --seed $$seed --scenes $(ECHO_SCENES) \
			--far-voice $${voices%:*} --near-voice $${voices#*:} && \
		tests/echo/venv/bin/python tests/echo/echo_rig.py score $$scenes --name callbox \
			--command '$(abspath $(TARGET))/release/callbox dsp echo --far {far} --mic {mic} --out {out}' \
			> $(TARGET)/artifacts/echo-set.txt || exit 1; \
		tee -a $(TARGET)/artifacts/echo.txt < $(TARGET)/artifacts/echo-set.txt; \
	done; done

## Send speech through one bad network to callbox, Chromium and baresip; score it with PLCMOS and PESQ (ten minutes)
bench-sound: packages-test tests/node_modules $(VIRTCARD)
	$(CARGO) build --release
	tests/sound/setup.sh
	TEST_CALLBOX=$(abspath $(TARGET))/release/callbox node tests/sound/bench.mjs

## Build for ARM on a plain Debian 12 machine; for a build with containers (`cross build`) see docs/install.md
arm64 armhf:
	scripts/arm-build $@

## Run the ARM programs under emulation: `check`, and a whole call with sound
test-arm: packages-demo
	$(CARGO) build --release
	scripts/arm-test arm64 $(TARGET)/release/callbox
	scripts/arm-test armhf $(TARGET)/release/callbox

## Build the images of cross/ as clean Debian roots, and callbox in them
test-cross:
	scripts/cross-test aarch64
	scripts/cross-test armv7

## Count the instructions that the sound of a call takes on arm64
bench-arm:
	scripts/install-packages qemu-user python3 build-essential
	cc -shared -fPIC -O2 -Wall -o $(TARGET)/count.so tests/arm/count.c
	python3 tests/arm/instructions.py $$(scripts/arm-build arm64 | tail -1) $(abspath $(TARGET))/count.so

## Install, start and reboot the arm64 package in an emulated Debian machine
test-arm-system: packages-demo
	scripts/arm-system

## Build the Debian packages for amd64, arm64 and armhf in target/debian
deb: packages-demo
	rm -f target/debian/*.deb target/debian/*.cdx.json
	scripts/deb amd64
	scripts/deb arm64
	scripts/deb armhf

lint-deb: deb
	scripts/install-packages lintian
	lintian --allow-root --fail-on error target/debian/*-1_*.deb
	scripts/lint-sbom target/debian/*-1_*.deb

# systemd-analyze rates the exposure of the unit from 0 (none) to 100 (everything). Other daemons of this kind have 80
# to 96.
lint-unit:
	scripts/install-packages systemd
	systemd-analyze security --offline=true --threshold=18 systemd/callbox.service >/dev/null

## Measure the release build, Chromium and Debian's baresip; there are no limits to pass (forty minutes, idle machine)
bench: packages-test packages-device packages-home $(VIRTCARD)
	$(CARGO) build --release
	scripts/bench
	python3 tests/home/cost.py $(TARGET)/release/callbox
	tests/device/build.sh
	python3 tests/device/latency.py $(TARGET)/release/callbox
	$(CARGO) test --test network -- --ignored --nocapture --test-threads=1
	$(MAKE) bench-arm bench-echo bench-sound
	TEST_CALLBOX=$(abspath $(TARGET))/release/callbox node tests/bench/table.mjs

## Check the oldest compiler that Cargo.toml promises
minimum-rust:
	scripts/minimum-rust

doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --workspace --no-deps --document-private-items

deny:
	$$(scripts/install-tool cargo-deny) check bans licenses sources

## Look for known weaknesses of dependencies; this needs the internet, because it fetches the RustSec database
advisories:
	@$$(scripts/install-tool cargo-deny) check advisories || { \
		echo "Either a dependency has a known weakness (see above), or the RustSec database could not be fetched:" >&2; \
		echo "this target needs the internet (github.com)." >&2; exit 1; }

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
	scripts/install-packages libasound2-dev cmake pkg-config gcc g++ chromium alsa-utils curl openssl iproute2 libnss3-tools baresip coturn nftables nodejs

clean:
	$(CARGO) clean
	rm -rf tests/node_modules
