// Package bench compares fprom with peers and with physical floors, side by side in one run.
//
// Each benchmark runs its contenders in turn, many short rounds of each, and reports medians over the rounds, so that a
// noisy machine disturbs all alike. A ratio is the median of the ratios of each round, where a round has one; p50 and p99
// are of all operations of all rounds, where nothing else is said. Run them with
//
//	go test -run '^$' -bench . -timeout 30m
//	go test -run '^$' -bench OutboxPut     # or any other alone
//
// on a machine that does nothing else: each table says how busy it was. -short makes all of them small, to see that they
// work; -v is not needed. -benchtime has no effect. With all sizes as they are they take about ten minutes:
//
//	Delivery           30 s   64 workers beside a bare http.Client
//	Middleware…        15 s   idle, with a sale, in bursts, in Gin
//	Request            25 s   a whole request over loopback, one after the other
//	Checkout           50 s   a checkout that charges a card, as a customer sees it
//	Memory             10 s   the heap after nested, streaming and upload loads
//	OutboxPut          60 s   durable puts beside bbolt, a plain file and SQLite
//	OutboxReaders      40 s   a durable put beside 100 readers of the outbox
//	OutboxBacklog      70 s   puts and deliveries while up to 1,000,000 events wait
//	OutboxLedger      150 s   the same while up to 5,000,000 ids are remembered ($FPROM_BENCH_LEDGER)
//	OutboxMillion      60 s   memory, reopening and bytes on disk with 1,000,000 waiting
//	Dedupe             60 s   stalls of Enqueue beside go-cache's janitor
//	Outage             70 s   1,000 buyers while FirstPromoter hangs
//
// They need Linux, for its accounts of what a process and a file use. The outbox is measured on the file system of $TMPDIR, which the tables name: on tmpfs a sync costs nothing.
package bench
