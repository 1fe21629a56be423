// Explain prints what a billing provider's webhook is turned into: which field of the payload each value came from, or
// why nothing is tracked. It sends nothing and checks no signature.
//
//	go run ./examples/explain stripe < billing/stripe/testdata/invoice_old_tax_inclusive.json
//	go run ./examples/explain -test-mode polar < event.json
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(errs)
	testMode := flags.Bool("test-mode", false, "explain test payloads as if they were live")
	trials := flags.Bool("trials", false, "make sign-ups of trials (billing.WithTrialSignups)")
	flags.Usage = func() {
		_, _ = fmt.Fprintf(errs, "usage: explain [flags] provider < event.json\nproviders: %s\n", strings.Join(explain.Providers(), ", "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return 2
	}
	payload, err := io.ReadAll(in)
	if err != nil {
		_, _ = fmt.Fprintln(errs, "explain:", err)
		return 1
	}
	var opts []billing.Option
	if *testMode {
		opts = append(opts, billing.WithTestMode())
	}
	if *trials {
		opts = append(opts, billing.WithTrialSignups())
	}
	x := explain.Explain(flags.Arg(0), payload, opts...)
	_, _ = fmt.Fprint(out, x)
	if x.Err != nil {
		return 1
	}
	return 0
}
