package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
)

// confirm asks question on the terminal, unless yes. Without a terminal the error says which flags to add.
func (a *app) confirm(ctx context.Context, yes bool, flags, question string) error {
	if yes {
		return nil
	}
	if !a.terminal.in || !a.terminal.errs {
		return usage("%s: there is no terminal to ask on; add %s", question, flags)
	}
	_, _ = fmt.Fprintf(a.errs, "%s? [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read cannot be interrupted; the process ends with it
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s := <-answer:
		if s == "y" || s == "yes" {
			return nil
		}
		return failed("nothing was changed")
	}
}
