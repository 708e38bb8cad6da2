# What people run. `make test` is all of it, and what CI runs; `make help` lists the rest.

CARGO ?= cargo
TARGET := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# Where cargo builds, and what is copied from there: static/ and forced/. Everything else that is made here, such as tools,
# packages and downloads, goes to target/ even if cargo builds elsewhere.
BUILT := $(or $(CARGO_TARGET_DIR),target)
STATIC := $(BUILT)/static/veritysetup

# A static program that can be loaded anywhere changes thousands of its own addresses when it starts. The list of them is
# short if the C library reads it in packed form: found out with a program that has one.
PACKED := $(shell try=$$(mktemp -d) && echo 'static int zero; int *volatile place = &zero; int main(void) { return *place; }' | \
	$(CC) -x c -fPIE -static-pie -Wl,-z,pack-relative-relocs -o $$try/try - 2>/dev/null && $$try/try 2>/dev/null && \
	echo '-C link-arg=-Wl,-z,pack-relative-relocs'; rm -rf "$$try")

# A target given by name keeps the linker flags away from build scripts, which load shared libraries.
STATIC_FLAGS := -C target-feature=+crt-static $(PACKED)
# The path is seen from here, where the compiler runs: another one would make another program in each folder.
COMMAND_FLAGS := $(STATIC_FLAGS) -C link-arg=-Wl,-T,cli/static.ld -C link-arg=-Wl,--no-eh-frame-hdr
RUSTFLAGS_OF_TARGET := CARGO_TARGET_$(shell echo '$(TARGET)' | tr 'a-z-' 'A-Z_')_RUSTFLAGS
STATIC_ENV := $(RUSTFLAGS_OF_TARGET)="$(STATIC_FLAGS)"
COMMAND_ENV := $(RUSTFLAGS_OF_TARGET)="$(COMMAND_FLAGS)"

# What `make static` builds in beside what every veritysetup has.
FEATURES =

# The library for programs that use libcryptsetup, which is linked from a static one: see lib/c/Cargo.toml.
CLIB := $(BUILT)/lib/libcryptsetup.so.12

# The hashing backends: see lib/src/cpu.rs.
BACKENDS := $(if $(filter aarch64-%,$(TARGET)),arm_ce neon,avx512 sha_ni avx2) portable

# What `make semver` compares with: the newest release, or while there is none the commit at which this work left the
# branch that it was cloned from.
BASE = $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || git merge-base HEAD origin/HEAD 2>/dev/null)

# It selects the machines for 64-bit Arm, and no others: only tests/cross.sh sets it.
unexport DMVERITY_ARM64_BIN

SPEED := $(CARGO) run --quiet --locked -p dmverity-tests --bin speed --

# Tools that are built once, into target/tools.
TOOLS = $(CURDIR)/target/tools/bin
tool = [ -x $(TOOLS)/$(1) ] || { \
	echo "Installing $(1) into target/tools, which takes some minutes once and needs the network"; \
	$(CARGO) install --root target/tools --locked $(1); }

# Unit tests that make no system calls except those of the test itself.
UNITS_WITHOUT_FILES = format::layout format::params format::plan format::seed format::superblock \
	line:: value:: hash::lanes fec::code fec::lanes tree::nodes dm::diagnose dm::name dm::kmsg

# The processors beside this one that `make test` runs the command on: a 64-bit one and a 32-bit one.
SOME_ARCHES := aarch64 i686

# What `make mutants` changes.
MUTATED = $(addprefix lib/src/,format/superblock.rs format/params.rs format/layout.rs line/table.rs \
	line/table/options.rs line/boot.rs image/append.rs image/append/**/*.rs image/locate.rs fec/**/*.rs)

# Where `make install` puts things. DESTDIR is put before all of it, and nothing that is installed contains it.
PREFIX = /usr/local
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man/man8
MANPAGE = veritysetup.8
DOCDIR = $(PREFIX)/share/doc/dmverity-tools
BASHDIR = $(PREFIX)/share/bash-completion/completions
# Debian's zsh reads another folder of packages than of what the administrator installs.
ZSHDIR = $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
# What makes an initramfs looks below /usr only, and for its own folders in /etc.
INITRAMFSDIR = /usr/share/initramfs-tools
DRACUTDIR = /usr/lib/dracut/modules.d/90dmverity

# Every file that is installed, as source:destination:mode.
COMMAND = $(SBINDIR)/veritysetup
INSTALLED = \
	$(STATIC):$(COMMAND):755 \
	man/veritysetup.8:$(MANDIR)/$(MANPAGE):644 \
	man/veritysetup.schema.json:$(DOCDIR)/veritysetup.schema.json:644 \
	cli/README.md:$(DOCDIR)/README.md:644 \
	man/guide.md:$(DOCDIR)/guide.md:644 \
	man/boot.md:$(DOCDIR)/boot.md:644 \
	man/format.md:$(DOCDIR)/format.md:644 \
	man/install.md:$(DOCDIR)/install.md:644 \
	man/benchmarks.md:$(DOCDIR)/benchmarks.md:644 \
	LICENSE-APACHE:$(DOCDIR)/LICENSE-APACHE:644 \
	LICENSE-MIT:$(DOCDIR)/LICENSE-MIT:644 \
	completions/veritysetup.bash:$(BASHDIR)/veritysetup:644 \
	completions/_veritysetup:$(ZSHDIR)/_veritysetup:644 \
	completions/veritysetup.fish:$(FISHDIR)/veritysetup.fish:644
# The same for scripts in which @veritysetup@ is replaced by the path of the installed command.
BOOT = \
	cli/boot/initramfs-tools/hook:$(INITRAMFSDIR)/hooks/dmverity:755 \
	cli/boot/initramfs-tools/local-top:$(INITRAMFSDIR)/scripts/init-premount/dmverity:755 \
	cli/boot/initramfs-tools/local-top:$(INITRAMFSDIR)/scripts/local-top/dmverity:755 \
	$(foreach script,$(sort $(wildcard cli/boot/dracut/*.sh)),$(script):$(DRACUTDIR)/$(notdir $(script)):755)
# Folders with no files of other packages.
OWN_FOLDERS = $(DOCDIR) $(DRACUTDIR)

CARGO_DEB := target/tools/bin/cargo-deb
DEB_ROOT := target/deb/root

# A release depends on the commit, the compiler and the C library, and on no folder's name and no clock.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
DIST := target/dist
DIST_BUILT := target/dist-build
DIST_TAR = $(DIST)/dmverity-tools-$(VERSION)-$(TARGET).tar
DIST_FLAGS = $(COMMAND_FLAGS) --remap-path-prefix=$(CURDIR)=/dmverity \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(shell rustc --print sysroot)=/rust

FUZZ_TARGETS = $(sort $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))))
FUZZ_ENV = CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 PATH="$(CURDIR)/target/tools/bin:$$PATH"
FUZZ = ASAN_OPTIONS=quarantine_size_mb=8:detect_leaks=0 $(FUZZ_ENV) $(CARGO) +nightly fuzz
FUZZ_OPTIONS = --features libfuzzer --target-dir target/fuzz/build $(if $(SANITIZER),--sanitizer $(SANITIZER))

.PHONY: help demo demo-chain test test-boot test-lib test-vm check build static lib install-lib uninstall-lib \
	c-lists forced install uninstall deb test-deb vm-shell compat diff diff-manual man completions fuzz faults \
	signals bench bench-chart bench-growth bench-instructions bench-arm64 bench-tasklet bench-open bench-serve \
	bench-web vectors semver deny coverage mutants miri sanitize soak test-arches test-arm64 test-quick check-targets \
	dist fmt clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## Format, verify, open and read a real image, on a real kernel
	tests/setup.sh build demo
	$(MAKE) static
	tests/demo/run.sh $(STATIC)

demo-chain: ## Build an image, sign it with a security module, verify it, and open it on a kernel that trusts the signer
	tests/setup.sh build demo chain
	$(MAKE) static
	tests/demo/chain.sh $(STATIC)

test: ## Run every test: format, lints, unit, golden, reference, real kernels
	tests/setup.sh build test $(SOME_ARCHES)
	$(MAKE) -j3 check-and-build-tests static lib
	$(CARGO) test --workspace --locked
	CARGO="$(CARGO)" tests/arches.sh --if-possible $(SOME_ARCHES)

# The binary is the shipped one in everything but the last optimizations, and no kernel is booted. What is left out
# judges that binary, builds crates of its own, or takes seconds: lack of memory, killed processes, large files.
QUICK_WITHOUT := external:: the_shipped_binary_fits exhausted:: interrupted:: killed_ holes:: \
	a_terminal_that_cannot_draw a_single_data_block no_argument_makes_it_panic

# The last step of each of the binaries, which are built beside it, keeps one processor busy for minutes. Cargo has a lock
# for each profile, and these have three of them.
.PHONY: check-and-build-tests
check-and-build-tests:
	$(MAKE) check
	$(CARGO) test --workspace --locked --no-run

test-quick: ## Run what takes two minutes at most: format, lints, unit tests and the command's
	tests/setup.sh build test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(COMMAND_ENV) $(CARGO) build --profile quick --locked -p veritysetup --target $(TARGET)
	$(CARGO) test --quiet --locked --workspace --lib
	DMVERITY_STATIC_BIN=$(abspath $(BUILT))/$(TARGET)/quick/veritysetup \
		$(CARGO) test --quiet --locked -p dmverity-tests --test command -- $(addprefix --skip ,$(QUICK_WITHOUT))

check-targets: ## Check that the library without device-mapper compiles elsewhere, and hash in WebAssembly: STD=nightly
	CARGO="$(CARGO)" STD="$(STD)" tests/targets.sh

test-arches: ## Test the command on other processors and kernels, emulated: make test-arches ARCHES="armv7 s390x"
	tests/setup.sh build test $(ARCHES)
	CARGO="$(CARGO)" STD="$(STD)" tests/arches.sh $(ARCHES)

test-arm64: ## Test library and command on 64-bit Arm, emulated: each extension, held builds, real kernels: STD=nightly
	tests/setup.sh build test aarch64
	CARGO="$(CARGO)" STD="$(STD)" tests/arm64.sh

# Tests that show figures, which nothing else may disturb.
C_FIGURES := size_and_startup repart_is_faster

# A nightly compiler builds the library that AddressSanitizer watches.
test-lib: ## Test the C library in full: Debian's programs on two kernels, cryptsetup's own tests, valgrind, a sanitizer
	tests/setup.sh build test bench
	@$(CARGO) +nightly --version || { echo "AddressSanitizer needs: rustup toolchain install nightly" >&2; exit 1; }
	$(MAKE) static lib
	RUSTFLAGS=-Zsanitizer=address $(CARGO) +nightly build --locked -p dmverity-c --target $(TARGET) --target-dir target/sanitize
	SANITIZED_ARCHIVE=$(CURDIR)/target/sanitize/$(TARGET)/debug/libdmverity_c.a \
		SANITIZER_RUNTIME=$$(rustc +nightly --print target-libdir)/librustc-nightly_rt.asan.a \
		$(CARGO) test --locked -p dmverity-tests --test c -- --include-ignored $(addprefix --skip ,$(C_FIGURES))
	$(CARGO) test --locked -p dmverity-tests --test vm -- --include-ignored clients
	$(CARGO) test --quiet --locked -p dmverity-tests --test c -- --ignored --nocapture --test-threads=1 $(C_FIGURES)

test-vm: ## Run every case in the machines, on all kernels, with and without udevd
	tests/setup.sh build test
	$(MAKE) static lib
	$(CARGO) test --workspace --locked --test vm -- --include-ignored

test-boot: ## Boot from dm-verity with initramfs-tools and dracut, every case: make test-boot BOOT_SUITE=trixie
	tests/setup.sh build test
	$(MAKE) static
	$(CARGO) test --locked -p dmverity-tests --test boot -- --include-ignored

faults: ## Have every system call fail in every way, and signals strike at every one
	tests/setup.sh build test
	$(MAKE) static
	FAULTS=all $(CARGO) test --locked -p dmverity-tests --test faults -- --nocapture

signals: ## Send signals at random moments: make signals ROUNDS=1000
	tests/setup.sh build test
	$(MAKE) static
	SIGNALS=$(or $(ROUNDS),1000) $(CARGO) test --locked -p dmverity-tests --test faults -- random_moments --nocapture

# With the tests' features, and then as it is shipped.
check: ## Check formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --locked -p veritysetup -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

build: ## Build the release binary
	$(CARGO) build --release --locked -p veritysetup

static: ## Build a statically linked release binary, for an initramfs; with more in it: make static FEATURES=http
	$(COMMAND_ENV) $(CARGO) build --release --locked -p veritysetup --target $(TARGET) $(if $(FEATURES),--features "$(FEATURES)")
	mkdir -p $(dir $(STATIC))
	cp $(BUILT)/$(TARGET)/release/veritysetup $(STATIC)

# `--whole-archive`: nothing in it is called from here. All that no version names stays local. The link below chooses the
# C library.
lib: ## Build libcryptsetup.so.12, its verity part, into target/lib
	$(STATIC_ENV) $(CARGO) build --profile library --locked -p dmverity-c --target $(TARGET)
	mkdir -p $(dir $(CLIB))
	$(CC) -shared -fPIC -O2 -Wall -Wextra -Werror -o $(CLIB) lib/c/src/versions.c \
		-Wl,--version-script=lib/c/libcryptsetup.map -Wl,-soname,libcryptsetup.so.12 \
		-Wl,--whole-archive $(BUILT)/$(TARGET)/library/libdmverity_c.a -Wl,--no-whole-archive \
		-Wl,--gc-sections -Wl,--no-undefined -Wl,-z,relro,-z,now -s -lgcc_s -lc -lm
	@ls -l $(CLIB)

# The flag is for the crates of this workspace alone: cargo keeps what is built with a wrapper apart by the wrapper's
# path, and builds everything else only once.
forced: ## Build a binary for each way to hash that is held to it, for benchmarks
	set -e; for backend in $(BACKENDS); do \
		wrapper=$(abspath $(BUILT))/forced/rustc-$$backend; \
		mkdir -p $(BUILT)/forced; \
		[ -e $$wrapper ] || { \
			printf '#!/bin/sh\nexec "$$@" --cfg dmverity_backend=\\"%s\\"\n' $$backend >$$wrapper; chmod +x $$wrapper; }; \
		RUSTC_WORKSPACE_WRAPPER=$$wrapper $(COMMAND_ENV) \
			$(CARGO) build --release --locked -p veritysetup --target $(TARGET); \
		cp $(BUILT)/$(TARGET)/release/veritysetup $(BUILT)/forced/veritysetup-$$backend; \
	done

# Builds only what is missing: the user who installs is often root, the one who built seldom is.
$(STATIC):
	@echo "$(STATIC) is not there, so it is built first"
	$(MAKE) static

$(CLIB):
	@echo "$(CLIB) is not there, so it is built first"
	$(MAKE) lib

# Copies the files of a list, each of which is source:destination:mode.
define install_files
	@set -e; for file in $(1); do \
		mode=$${file##*:}; file=$${file%:*}; from=$${file%%:*}; to="$(DESTDIR)$${file#*:}"; \
		echo "$$from -> $$to"; \
		install -D -m $$mode "$$from" "$$to"; \
	done
endef

# Removes what install_files has copied, and then these folders if they are empty.
define remove_files
	@set -e; for file in $(1); do \
		file=$${file%:*}; file="$(DESTDIR)$${file#*:}"; \
		echo "$$file is removed"; \
		rm -f "$$file"; \
	done
	@for folder in $(2); do rmdir "$(DESTDIR)$$folder" 2>/dev/null || :; done
endef

install: $(STATIC) ## Install below PREFIX what has been built: make install PREFIX=/usr DESTDIR=/tmp/root
	$(call install_files,$(INSTALLED) $(BOOT))
	@set -e; for file in $(BOOT); do \
		file=$${file%:*}; \
		sed -i 's|@veritysetup@|$(COMMAND)|g' "$(DESTDIR)$${file#*:}"; \
	done
	@[ -n "$(DESTDIR)" ] || echo "An initramfs has it when it is made again: update-initramfs -u, or dracut --force"

# Beside the system's library, never over it: programs choose it, see libcryptsetup-verity(7).
CLIB_DIR = $(PREFIX)/lib/dmverity
CLIB_FILES = \
	$(CLIB):$(CLIB_DIR)/libcryptsetup.so.12:644 \
	lib/c/include/dmverity/cryptsetup-verity.h:$(PREFIX)/include/dmverity/cryptsetup-verity.h:644 \
	man/libcryptsetup-verity.7:$(PREFIX)/share/man/man7/libcryptsetup-verity.7:644 \
	lib/c/dmverity-cryptsetup.pc:$(PREFIX)/lib/pkgconfig/dmverity-cryptsetup.pc:644

install-lib: $(CLIB) ## Install the C library in a directory of its own: make install-lib PREFIX=/usr DESTDIR=/tmp/root
	$(call install_files,$(CLIB_FILES))
	@ln -sf libcryptsetup.so.12 "$(DESTDIR)$(CLIB_DIR)/libcryptsetup.so"
	@sed -i 's|@PREFIX@|$(PREFIX)|g; s|@VERSION@|$(VERSION)|g' "$(DESTDIR)$(PREFIX)/lib/pkgconfig/dmverity-cryptsetup.pc"

uninstall-lib: ## Take away what make install-lib installed, with the same PREFIX and DESTDIR
	$(call remove_files,$(CLIB_FILES) :$(CLIB_DIR)/libcryptsetup.so:,$(CLIB_DIR) $(PREFIX)/include/dmverity)

uninstall: ## Take away what make install installed, with the same PREFIX and DESTDIR
	$(call remove_files,$(INSTALLED) $(BOOT),$(OWN_FOLDERS))

$(CARGO_DEB):
	@echo "cargo-deb is not in target/tools, so it is built first; this happens once and needs the network"
	$(CARGO) install --root target/tools --locked cargo-deb

# The packages contain what `make install` and `make install-lib` install, except under names that the distribution's
# own packages have.
deb: ## Build Debian packages that live beside the distribution's veritysetup and libcryptsetup
	tests/setup.sh build
	$(MAKE) $(CARGO_DEB) static lib
	rm -rf $(DEB_ROOT) target/deb/*.deb
	$(MAKE) install DESTDIR=$(DEB_ROOT) PREFIX=/usr SBINDIR=/usr/lib/dmverity-tools MANPAGE=veritysetup.dmverity.8
	$(MAKE) install-lib DESTDIR=$(DEB_ROOT) PREFIX=/usr
	set -e; for package in "veritysetup" "dmverity-c" "dmverity-c --variant=dev"; do \
		$(CARGO_DEB) --locked --offline --no-build --no-strip --quiet --output target/deb/ \
			$(if $(MAINTAINER),--maintainer "$(MAINTAINER)") -p $$package; \
	done
	@ls target/deb/*.deb

test-deb: ## Test the Debian packages in fresh systems: make test-deb SUITES="trixie bookworm"
	tests/setup.sh deb
	$(MAKE) deb
	tests/deb/run.sh target/deb $(SUITES)

# Both crates are built from their packages. What writes the bill of materials puts it beside the sources, so it is given
# others; the places of the workspace's crates are remapped in it as in the command.
dist: ## Make a release in target/dist: tarball, crates, bill of materials, checksums
	tests/setup.sh build
	@[ -z "$$(git status --porcelain)" ] || { echo "A release is made of a commit: commit what has changed first" >&2; exit 1; }
	@$(call tool,cargo-cyclonedx)
	rm -rf $(DIST)
	mkdir -p $(DIST)
	RUSTFLAGS="$(DIST_FLAGS)" $(CARGO) build --release --locked -p veritysetup --target $(TARGET) --target-dir $(DIST_BUILT)
	umask 022; $(MAKE) --no-print-directory install DESTDIR=$(DIST)/root STATIC=$(DIST_BUILT)/$(TARGET)/release/veritysetup
	tar --create --file=$(DIST_TAR) --sort=name --format=gnu --owner=0 --group=0 --numeric-owner \
		--mtime=@$$(git log -1 --format=%ct) -C $(DIST)/root .
	gzip --best --no-name $(DIST_TAR)
	rm -r $(DIST)/root
	$(CARGO) package --locked -p dmverity -p veritysetup $(PACKAGE_OPTIONS)
	cp $(BUILT)/package/dmverity-$(VERSION).crate $(BUILT)/package/veritysetup-$(VERSION).crate $(DIST)
	mkdir $(DIST)/source
	git archive HEAD | tar --extract -C $(DIST)/source
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(TOOLS)/cargo-cyclonedx cyclonedx --quiet --format json --spec-version 1.5 \
		--target $(TARGET) --manifest-path $(DIST)/source/cli/Cargo.toml --override-filename materials
	sed 's|$(CURDIR)/$(DIST)/source|/dmverity|g' $(DIST)/source/cli/materials.json >$(DIST)/veritysetup-$(VERSION).cdx.json
	rm -r $(DIST)/source
	cd $(DIST) && sha256sum * >SHA256SUMS
	@cat $(DIST)/SHA256SUMS

vm-shell: ## Open a shell on a real kernel: make vm-shell KERNEL=6.1
	tests/setup.sh build test
	$(MAKE) static
	$(CARGO) run --locked -p dmverity-tests --bin vm -- shell --kernel $(or $(KERNEL),6.1)

diff: ## Compare random commands with the reference's: make diff CASES=10000 SEED=7, or one of them with CASE=3
	tests/setup.sh build test
	$(MAKE) static
	CASES=$(CASES) SEED=$(SEED) CASE=$(CASE) $(CARGO) test --locked -p dmverity-tests --test diff -- --nocapture commands

# Tests that fail if a file is out of date; with the variable they write it.
OPTIONS_TESTS = $(CARGO) test --quiet --locked -p veritysetup --lib -- --exact options::tests

completions: ## Write the options into the shells' completion files
	WRITE_COMPLETIONS=1 $(OPTIONS_TESTS)::completions::the_completions_have_the_tables

man: ## Write the lists of options, actions and hash algorithms into the manual
	WRITE_MANUAL=1 $(OPTIONS_TESTS)::manual::the_manual_has_what_the_tables_say

c-lists: ## Write the names of the C interface into the linker's version script and the manual
	WRITE_LISTS=1 $(CARGO) test --quiet --locked -p dmverity-c --lib -- tests::lists

diff-manual: ## Write what differs from the reference, and why, into the manual
	WRITE_MANUAL=1 $(CARGO) test --quiet --locked -p dmverity-tests --test diff -- manual

compat: ## Run cryptsetup's own tests on ours: make compat COMPAT_SUITE=trixie KERNEL=6.12 NODES=udev
	tests/setup.sh build test
	$(MAKE) static
	$(CARGO) run --locked -p dmverity-tests --bin vm -- compat --kernel $(or $(KERNEL),6.1) $(if $(filter udev,$(NODES)),--udev)

# Memory that the address sanitizer keeps after it was freed does not count as the target's.
fuzz: ## Fuzz every target: make fuzz MINUTES=10, or TARGET=image_verify RUNS=1000000 SANITIZER=none
	tests/setup.sh build
	@set -e; if ! $(CARGO) +nightly --version >/dev/null 2>&1; then \
		echo "Plain mutations: libFuzzer needs a nightly compiler (rustup toolchain install nightly)"; \
		exec $(CARGO) run --release --locked -p dmverity-fuzz --bin mutate -- $(TARGET) \
			$(if $(RUNS),--runs $(RUNS),--minutes $(or $(MINUTES),1)) $(if $(SEED),--seed $(SEED)); \
	fi; \
	echo "libFuzzer, with the nightly compiler"; \
	[ -x target/tools/bin/cargo-fuzz ] || { \
		echo "Installing cargo-fuzz into target/tools, which happens once and needs the network"; \
		$(CARGO) install --root target/tools --locked cargo-fuzz; }; \
	mkdir -p target/fuzz/findings; \
	for target in $(or $(TARGET),$(FUZZ_TARGETS)); do \
		$(FUZZ) build $(FUZZ_OPTIONS) $$target; \
		corpus=target/fuzz/corpus/$$target; log=target/fuzz/$$target.log; \
		rm -rf $$corpus.small; mkdir -p $$corpus $$corpus.small; \
		$(FUZZ) run $(FUZZ_OPTIONS) $$target $$corpus fuzz/corpus/$$target -- -timeout=1 -rss_limit_mb=256 -max_len=1024 \
			-artifact_prefix=target/fuzz/findings/$$target- -print_final_stats=1 $(if $(SEED),-seed=$(SEED)) \
			$(if $(RUNS),-runs=$(RUNS),-max_total_time=$$(($(or $(MINUTES),1) * 60))) >$$log 2>&1 || { \
				grep -v -e NEW -e REDUCE $$log | tail -n 60; exit 1; }; \
		echo "$$target: $$(grep -h -e DONE -e ^Done $$log | tr '\n' ' ')"; \
		$(FUZZ) run $(FUZZ_OPTIONS) $$target $$corpus.small $$corpus fuzz/corpus/$$target -- -merge=1 >>$$log 2>&1; \
		rm -rf $$corpus; mv $$corpus.small $$corpus; \
	done

bench: ## Measure the speed next to the reference and others: make bench OPTIONS="--rows verify --size 64"
	tests/setup.sh build bench field
	$(MAKE) static forced
	$(SPEED) $(OPTIONS)

bench-chart: ## Draw the charts of the tables in man/benchmarks.md again
	$(SPEED) --svg-from man/benchmarks.md --svg tests/bench/speed.svg
	$(SPEED) --growth --svg-from man/benchmarks.md --svg tests/bench/growth.svg

bench-growth: ## Measure time and memory from 1 MiB to 16 GiB: make bench-growth OPTIONS="--size 4096 --pairs 3"
	tests/setup.sh build bench
	$(MAKE) static
	$(SPEED) --growth $(OPTIONS)

bench-instructions: ## Count instructions, and what changed: make bench-instructions OPTIONS=--record
	tests/setup.sh build bench
	$(MAKE) static forced
	$(SPEED) --instructions $(OPTIONS)

bench-arm64: ## Estimate how long hashing and encoding take on 64-bit Arm, without such a processor
	tests/setup.sh build aarch64 mca
	CARGO="$(CARGO)" STD="$(STD)" tests/bench/arm64.sh

bench-tasklet: ## Measure what open --use-tasklets gains: make bench-tasklet KERNELS="6.1 7"
	tests/setup.sh build bench
	$(MAKE) static
	$(STATIC_ENV) $(CARGO) build --release --locked -p dmverity-tests --bin read-latency --target $(TARGET)
	set -e; for kernel in $(or $(KERNELS),6.1 7); do for clock in "" --count-instructions; do \
		echo; echo "$${clock:+One processor, a nanosecond for each instruction. }This machine's load: $$(cat /proc/loadavg)"; \
		$(CARGO) run --quiet --locked -p dmverity-tests --bin vm -- run --kernel $$kernel $$clock --timeout 1800 \
			--script tests/bench/tasklet.sh --file $(BUILT)/$(TARGET)/release/read-latency:/usr/bin/read-latency; \
	done; done

CALLGRIND = $(firstword $(wildcard /usr/libexec/valgrind/callgrind-amd64-linux /usr/lib/*/valgrind/callgrind-amd64-linux))

bench-open: ## Count the instructions of open, status and close in a test machine: make bench-open KERNELS="6.1 7"
	tests/setup.sh build bench
	$(MAKE) static
	set -e; for kernel in $(or $(KERNELS),6.1); do \
		$(CARGO) run --quiet --locked -p dmverity-tests --bin vm -- run --kernel $$kernel \
			--script tests/bench/open.sh --file $(CALLGRIND):/valgrind/callgrind-amd64-linux; \
	done

bench-serve: ## Measure `serve` next to a server without verification, and nbdkit: make bench-serve MIB=512 ROUNDS=9
	tests/setup.sh build bench
	$(MAKE) static
	$(CARGO) build --release --locked -p dmverity --example nbd_server --features nbd
	mkdir -p target/bench
	$(CARGO) run --quiet --release --locked -p dmverity-tests --bin serve-bench -- $(STATIC) \
		$(BUILT)/release/examples/nbd_server target/bench $(or $(MIB),512) $(or $(ROUNDS),9)

bench-web: ## Measure `verify` and `serve` of an image on a web server next to curl: make bench-web MIB=1024 ROUNDS=9
	tests/setup.sh build bench
	$(COMMAND_ENV) $(CARGO) build --release --locked -p veritysetup --target $(TARGET) --features http
	mkdir -p target/bench
	$(CARGO) run --quiet --release --locked -p dmverity-tests --bin web-bench -- \
		$(BUILT)/$(TARGET)/release/veritysetup target/bench $(or $(MIB),1024) $(or $(ROUNDS),9)

vectors: ## Make tests/vectors/vectors.json again, from a reference tool: make vectors REFERENCE=veritysetup
	$(CARGO) run --locked -p dmverity-tests --bin vectors -- $(or $(REFERENCE),veritysetup)

semver: ## Check that the library's API breaks no user since the newest release: make semver BASE=REV
	tests/setup.sh build
	@[ -n "$(BASE)" ] || { echo "There is no release to compare with, and no origin: make semver BASE=REV" >&2; exit 1; }
	@[ -x target/tools/bin/cargo-semver-checks ] || { \
		echo "Installing cargo-semver-checks into target/tools, which takes some minutes"; \
		$(CARGO) install --root target/tools --locked cargo-semver-checks; }
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) semver-checks -p dmverity --baseline-rev $(BASE)

# The same rules without the tool, which takes minutes to build, are a test of the command's suite (dependencies.rs).
deny: ## Check licences, sources, versions and advisories of the dependencies
	tests/setup.sh build
	@$(call tool,cargo-deny)
	$(TOOLS)/cargo-deny --locked check licenses bans sources
	@if $(TOOLS)/cargo-deny --locked fetch db; then \
		$(TOOLS)/cargo-deny --locked check --disable-fetch advisories; \
	else echo "Advisories were not looked for: their database cannot be fetched here"; fi

coverage: ## Show which lines of the library run in tests without a kernel: make coverage LEAST=95
	tests/setup.sh build test
	@$(call tool,cargo-llvm-cov)
	PATH="$(TOOLS):$$PATH" LEAST=$(or $(LEAST),95) tests/coverage.sh

# Without debugging information a changed library is built again in seconds. The exit status is 2 when something
# survived.
mutants: ## Change the library line by line, and see whether its tests notice: make mutants FILES="lib/src/line/table.rs"
	tests/setup.sh build
	@$(call tool,cargo-mutants)
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 CARGO_INCREMENTAL=1 $(TOOLS)/cargo-mutants mutants \
		-p dmverity --output target --timeout $(or $(TIMEOUT),60) $(foreach file,$(or $(FILES),$(MUTATED)),-f '$(file)') $(OPTIONS)

# Tests that need no system call, for this machine and for one with the other byte order.
miri: ## Interpret the library's unit tests, looking for undefined behaviour: make miri MIRI_TARGETS=s390x-unknown-linux-gnu
	@$(CARGO) +nightly miri --version || { echo "Miri is missing: rustup +nightly component add miri rust-src" >&2; exit 1; }
	set -e; for target in $(or $(MIRI_TARGETS),$(TARGET) s390x-unknown-linux-gnu); do \
		floors=--no-default-features; [ $$target != $(TARGET) ] || floors=; \
		MIRIFLAGS="-Zmiri-disable-isolation" $(CARGO) +nightly miri test --locked -p dmverity --lib $$floors \
			--target $$target --target-dir target/miri -- $(UNITS_WITHOUT_FILES); \
	done

# valgrind shows the library a processor without AVX-512 and the SHA extensions, whose leaves only the address sanitizer
# sees.
sanitize: ## Run the library's unit tests under AddressSanitizer, and its SIMD leaves under valgrind
	tests/setup.sh build bench
	@$(CARGO) +nightly --version || { echo "AddressSanitizer needs: rustup toolchain install nightly" >&2; exit 1; }
	RUSTFLAGS=-Zsanitizer=address $(CARGO) +nightly test --locked -p dmverity --lib --target $(TARGET) \
		--target-dir target/sanitize
	CARGO_TARGET_$(shell echo '$(TARGET)' | tr 'a-z-' 'A-Z_')_RUNNER="valgrind --quiet --error-exitcode=9" \
		$(CARGO) test --locked -p dmverity --lib -- lanes hash::block

soak: ## Open, damage, repair, close and kill for long, on real kernels: make soak MINUTES=10 KERNELS="6.1 7" NODES=udev
	tests/setup.sh build test
	$(MAKE) static
	mkdir -p target/soak
	echo "rounds=$(or $(ROUNDS),$(if $(MINUTES),1000000,1000)) minutes=$(or $(MINUTES),600)" >target/soak/how
	set -e; for kernel in $(or $(KERNELS),6.1 7); do \
		$(CARGO) run --quiet --locked -p dmverity-tests --bin vm -- run --kernel $$kernel $(if $(filter udev,$(NODES)),--udev) \
			--timeout $$((($(or $(MINUTES),600) + 30) * 60)) --script tests/soak/guest.sh --file target/soak/how:/etc/soak; \
	done

fmt: ## Format the source
	$(CARGO) fmt --all

clean: ## Remove everything that was built or downloaded
	$(CARGO) clean
	rm -rf target
