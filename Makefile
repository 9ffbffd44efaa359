# Everything of substance stands in tools/; each target is one script.
.PHONY: all run demo test verify soak fuzz bench bench-quick bench-load check clean

all:
	@tools/install-deps build
	@tools/build

run:
	@tools/install-deps run
	@tools/build
	@exec tools/run

demo:
	@tools/install-deps demo
	@tools/build
	@exec tools/demo

# Prints "N passed, N failed" at the end.
test:
	@tools/install-deps test
	@exec tools/with-proc tools/test

# What must be green before an issue is called resolved: much longer.
verify:
	@tools/install-deps verify
	@exec tools/with-proc tools/verify

# Killed 200 times under load (SOAK_KILLS).
soak:
	@tools/install-deps test
	@exec tools/with-proc tools/soak

# FUZZ_SECONDS for each target.
fuzz:
	@tools/install-deps verify
	@exec tools/with-proc tools/fuzz $(or $(FUZZ_SECONDS),60)

# midreg, Kamailio and the kernel's floor in turns; docs/benchmarks.md tells how to
# read it. `make bench-quick` takes two minutes.
bench:
	@tools/install-deps bench
	@exec tools/bench

bench-quick:
	@tools/install-deps bench
	@exec tools/bench --quick

# How long a start reads a million stored AORs, against sqlite3.
bench-load:
	@tools/install-deps bench
	@CC=gcc tools/build build-bench --buildtype=release -Dtests=false -Dbench=true
	@exec bench/load-store

check:
	@tools/check-rooms
	@tools/check-shape

clean:
	rm -rf build build-*
