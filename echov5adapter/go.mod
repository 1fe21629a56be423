module github.com/fprom-go/fprom/echov5adapter

go 1.26.0

replace github.com/fprom-go/fprom => ..

require (
	github.com/fprom-go/fprom v0.0.0
	github.com/labstack/echo/v5 v5.4.4
)

require (
	github.com/patrickmn/go-cache v2.1.0+incompatible // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
