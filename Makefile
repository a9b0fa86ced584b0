# What can be done with this folder. Each target installs what it needs and is missing (packaging/need).

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.PHONY: help run test unit deny coverage mutants service bench bench-peers counts torture deb deb-arm64 release fmt lint clean

help:
	@echo 'make run        build, and play an outage from the first redemption to the books'
	@echo 'make test       everything that CI runs: style, lints, tests, package, service under a real systemd'
	@echo 'make unit       the tests alone'
	@echo 'make deny       licences, sources and duplicates of the dependencies'
	@echo 'make coverage   the same, with the lines counted that they pass through'
	@echo 'make mutants    changes the rules in a thousand ways, each of which some test should notice'
	@echo 'make service    the package and the service test alone'
	@echo 'make bench      the figures of the README, measured here'
	@echo 'make bench-peers  PostgreSQL, Redis and NATS JetStream beside it, in one table'
	@echo 'make counts     instructions, syncs and bytes of one redemption and the size of the program, recorded anew'
	@echo 'make torture    the long runs: kills, power cuts, months in virtual time, fuzzing; an hour or two'
	@echo 'make deb        target/debian/redeemd_$(VERSION)_*.deb'
	@echo 'make deb-arm64  the same for arm64, tried under emulation'

run:
	@packaging/need build
	cargo build --release --locked
	target/release/redeemd --config config/dev.toml rehearse

test:
	@tests/everything

unit:
	@packaging/need build test
	cargo nextest run --locked --no-fail-fast

deny:
	@packaging/need build test
	cargo deny --locked check bans licenses sources

coverage:
	@packaging/need build test coverage
	tests/coverage

mutants:
	@packaging/need build test mutants
	CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 PROPTEST_MAX_SHRINK_ITERS=0 cargo mutants

service:
	@packaging/need build deb service
	@$(MAKE) --no-print-directory deb
	tests/service/package
	tests/service/run

bench:
	@packaging/need build bench
	cargo bench --locked --bench gateway

bench-peers:
	@packaging/need build bench peers
	BENCH_PARTS=peers cargo bench --locked --bench gateway

counts:
	@packaging/need build counts
	cargo build --release --locked
	packaging/binary --renew
	tests/counts --renew

torture:
	@packaging/need build test fuzz
	tests/torture

release:
	@packaging/need build
	cargo build --release --locked

deb:
	@packaging/need build deb
	packaging/build-deb

deb-arm64:
	packaging/build-arm64

fmt:
	cargo fmt

lint:
	cargo clippy --locked --all-targets -- -D warnings

clean:
	cargo clean
