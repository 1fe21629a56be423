package main

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// readFault reads a --fault.
func readFault(spec string) (fpromtest.Fault, error) {
	var f fpromtest.Fault
	for i, part := range strings.Split(spec, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		if i == 0 {
			f, err = faultKind(name, value)
		} else {
			f, err = narrow(f, name, value)
		}
		if err != nil {
			return f, usage("--fault %q: %q %w; see fprom fake --help", spec, part, err)
		}
	}
	return f, nil
}

var errUnknownFault = errors.New("is not known")

func faultKind(name, value string) (fpromtest.Fault, error) {
	switch name {
	case "status":
		n, err := strconv.Atoi(value)
		if err != nil || n < 200 || n > 599 {
			return fpromtest.Fault{}, errors.New("is no status from 200 to 599")
		}
		return fpromtest.Status(n), nil
	case "delay":
		d, err := positive(value)
		return fpromtest.Delay(d), err
	case "hang":
		return fpromtest.Hang(), nil
	case "reset":
		return fpromtest.Reset(), nil
	case "html404":
		return fpromtest.NotFoundPage(), nil
	case "redirect":
		return fpromtest.Redirect(http.StatusFound), nil
	case "garbage":
		return fpromtest.Garbage(), nil
	}
	return fpromtest.Fault{}, errUnknownFault
}

// requestKinds are the kinds of requests that a fault can be narrowed to.
var requestKinds = append(slices.Clone(kinds), "company")

func narrow(f fpromtest.Fault, name, value string) (fpromtest.Fault, error) {
	switch name {
	case "times":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return f, errors.New("is no whole number above 0")
		}
		return f.Times(n), nil
	case "for":
		d, err := positive(value)
		return f.For(d), err
	case "chance":
		p, err := strconv.ParseFloat(value, 64)
		if err != nil || !(p > 0 && p <= 1) { // NaN, too
			return f, errors.New("is no number above 0, and at most 1")
		}
		return f.Chance(p), nil
	case "kind":
		if !slices.Contains(requestKinds, value) {
			return f, errors.New("is not one of " + strings.Join(requestKinds, ", "))
		}
		return f.OnKind(value), nil
	case "event":
		if value == "" {
			return f, errors.New("names no event id")
		}
		return f.OnEvent(value), nil
	case "retry-after":
		return f.RetryAfter(value), nil
	case "processed":
		return f.AfterProcessing(), nil
	}
	return f, errUnknownFault
}

func positive(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, errors.New("is no span such as 90s or 10m")
	}
	return d, nil
}
