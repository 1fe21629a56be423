module github.com/fprom-go/fprom/examples/acmepay

go 1.26.0

require github.com/fprom-go/fprom v0.0.0

require (
	github.com/patrickmn/go-cache v2.1.0+incompatible // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/fprom-go/fprom => ../..
