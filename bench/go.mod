module github.com/fprom-go/fprom/bench

go 1.26.0

require (
	github.com/fprom-go/fprom v0.0.0
	github.com/go-chi/chi/v5 v5.5.0
	github.com/posthog/posthog-go v1.5.2
	gopkg.in/segmentio/analytics-go.v3 v3.1.0
)

require (
	github.com/patrickmn/go-cache v2.1.0+incompatible // indirect
	github.com/segmentio/backo-go v1.1.0 // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	github.com/xtgo/uuid v0.0.0-20140804021211-a0b114877d4c // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/fprom-go/fprom => ../
