# Everything of substance stands in tools/; each target is one script.
.PHONY: all run demo test verify fuzz check clean

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

# FUZZ_SECONDS for each target.
fuzz:
	@tools/install-deps verify
	@exec tools/with-proc tools/fuzz $(or $(FUZZ_SECONDS),60)

check:
	@tools/check-rooms
	@tools/check-shape

clean:
	rm -rf build build-*
