// Package bench compares fprom with peers and with physical floors, side by side in one run.
//
// Each benchmark runs its contenders in turn, many short rounds of each, and reports the median of the rounds of each
// and its ratio to the named floor: so that a noisy machine disturbs all alike. Run them with
//
//	go test -run '^$' -bench . ./...
//
// on a machine that does nothing else. -v is not needed; the tables are printed as the benchmarks' log.
package bench
