package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/internal/safelog"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitAttention   = 3
	exitRefused     = 4
	exitUnreachable = 5
	exitInterrupted = 130
)

const exitTable = `Exit status:
  0    done
  1    failed
  2    wrong usage: a flag, an argument, a missing setting
  3    done, but something needs a person (rejected rows, differences, failed checks)
  4    FirstPromoter, or the database, refused the credentials
  5    FirstPromoter, or the database, is not reachable
  130  interrupted; run it again to go on
`

// exitError is an error with its exit status.
type exitError struct {
	code int
	err  error // nil: nothing more is printed
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is an error of the caller.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// failed is an error with the exit status 1.
func failed(format string, args ...any) error {
	return &exitError{exitFailed, fmt.Errorf(format, args...)}
}

// errNeedsPerson ends a command whose printed result needs a person.
var errNeedsPerson error = &exitError{code: exitAttention}

// exitCode is the status for err, nil included.
func exitCode(err error) int {
	coded, ok := errors.AsType[*exitError](err)
	api, isAPI := errors.AsType[*fprom.APIError](err)
	p := problemOf(err)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case ok:
		return coded.code
	case errors.Is(err, fprom.ErrUnauthorized):
		return exitRefused
	case p != nil && p.exit != 0:
		return p.exit
	case errors.Is(err, firstpromoter.ErrUnreachable), errors.Is(err, firstpromoter.ErrNotFirstPromoter), isAPI && api.StatusCode >= 500:
		return exitUnreachable
	default:
		return exitFailed
	}
}

// rowReason is why a row is refused, without the name of the library. It has no values of the row, but may have an address as an
// example.
func rowReason(err error) string { return safelog.WithoutName(err.Error()) }

// withAt matches a word that may be an e-mail address.
var withAt = regexp.MustCompile(`\S*(@|%40)\S*`)

// reason is err without the name of the library, e-mail addresses and the password of a database. It keeps the operator's own paths.
func reason(err error) string {
	return withAt.ReplaceAllStringFunc(rowReason(err), func(word string) string {
		switch {
		case isDatabase(word):
			return shown(word)
		case filepath.IsAbs(word) && !strings.ContainsAny(word, "?%"):
			return word
		default:
			return safelog.Text(word)
		}
	})
}

// report writes err to w, which is stderr.
func report(w io.Writer, asJSON bool, err error) {
	code := exitCode(err)
	text := reason(err)
	if code == exitInterrupted {
		text = "interrupted; what was done is kept, run it again to go on"
	}
	if text == "" {
		return
	}
	if errors.Is(err, fprom.ErrUnauthorized) { // the library's words are for a service
		text = strings.Replace(text, rowReason(fprom.ErrUnauthorized), "FirstPromoter refused the API key or the account id", 1) + "; fprom doctor says which one is wrong"
	}
	if asJSON {
		_ = writeLine(w, "error", struct {
			Error string `json:"error"`
			Exit  int    `json:"exit_status"`
		}{text, code})
		return
	}
	_, _ = fmt.Fprintln(w, "fprom:", clean(text))
}
