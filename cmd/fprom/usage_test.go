package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range [][]string{
		{},
		{"doctor"},
		{"status"},
		{"events"},
		{"dead"},
		{"dead", "list"},
		{"dead", "redrive"},
		{"dead", "drop"},
		{"backfill"},
		{"explain"},
		{"trigger"},
		{"fake"},
	} {
		t.Run(strings.Join(c, " "), func(t *testing.T) {
			t.Parallel()
			r := fprom(t, nil, append(c, "--help")...).want(t, 0)
			for _, part := range []string{"Usage:", "Examples:", "Exit status:", "credentials"} {
				if !strings.Contains(r.out, part) {
					t.Errorf("no %q in %s", part, r)
				}
			}
			if r.err != "" {
				t.Errorf("on stderr: %s", r.err)
			}
		})
	}
	fprom(t, nil).want(t, 0).golden(t, "help.txt")
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := fprom(t, nil, "completion", shell).want(t, 0); !strings.Contains(r.out, "fprom") {
			t.Errorf("%s: %.100q", shell, r.out)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"events --state", "waiting\ndone\ndead\n"},
		{"status --output", "text\njson\njsonl\n"},
		{"trigger polar", "order.paid\norder.paid@2025-06\nrefund.created\nsubscription.revoked\n"},
		{"explain", "chargebee\ncreem\n"},
	} {
		args := append([]string{"__complete"}, strings.Fields(c.args)...)
		if r := fprom(t, nil, append(args, "")...); !strings.HasPrefix(r.out, c.want) {
			t.Errorf("%s: %q, want %q", c.args, r.out, c.want)
		}
	}
}

func TestErrorsKeepToTheForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		json bool
	}{
		{"fake -o json", true},
		{"fake -o=json", true},
		{"fake -ojson", true},
		{"fake --output=json", true},
		{"status --nonsense --output json", true},
		{"nonsense -o jsonl", true},
		{"status --nonsense -o text -o json", true},
		{"status --nonsense", false},
		{"status -o yaml", false},
		{"status --nonsense -- -o json", false},
	} {
		r := fprom(t, nil, strings.Fields(c.args)...).want(t, 2)
		if json.Valid([]byte(r.err)) != c.json {
			t.Errorf("JSON should be %v: %s", c.json, r)
		}
	}
}

// Wrong usage is exit status 2 with one line that says what is wrong, in the form that was asked for.
func TestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sales := filepath.Join(dir, "past.csv")
	if err := os.WriteFile(sales, []byte("event_id,email,amount,currency\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "none.db")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"nonsense", 2, `unknown command "nonsense"`},
		{"status --nonsense", 2, "unknown flag"},
		{"statu", 2, "did you mean status?"},
		{"dead lst", 2, "did you mean list?"},
		{"help nosuch", 2, `unknown command "nosuch"`},
		{"help dead lst", 2, "did you mean list?"},
		{"status more", 2, `unexpected argument "more"`},
		{"status -o yaml", 2, "is not one of text, json, jsonl"},
		{"status --progress loud", 2, "auto, bar, plain, none"},
		{"status", 2, "$FPROM_OUTBOX"},
		{"status --outbox " + missing, 1, "no such file"},
		{"status --outbox " + dir, 1, "directory"},
		{"status --outbox " + filepath.Join(dir, "shop@1.db"), 1, "shop@1.db: there is no such file"},
		{"status --outbox mysql://root@localhost/shop", 2, "postgres://"},
		{"events --outbox " + missing, 1, "no such file"},
		{"events --state lost", 2, "waiting, done, dead"},
		{"events --outcome lost", 2, "tracked"},
		{"events --kind lost", 2, "sale, refund"},
		{"events --since soon", 2, "2h or 7d"},
		{"events --until -2h", 2, "--until"},
		{"events --limit -4", 2, "negative"},
		{"events --after x", 2, `--after "x"`},
		{"completion tcsh", 2, `unknown command "tcsh"`},
		{"events --limit x", 2, `--limit "x": is no whole number`},
		{"events --limit 99999999999999999999", 2, "is no whole number"},
		{"events --since 1h --until 2h", 2, "is not after --since 1h"},
		{"doctor --timeout 10", 2, `--timeout "10": is no span such as 90s`},
		{"doctor --timeout 0s", 2, "--timeout 0s: must be positive"},
		{"dead", 2, "list, redrive or drop"},
		{"forget", 2, "name one customer"},
		{"dead list --status 9999", 2, "--status"},
		{"dead list --all --limit 5", 2, "[all limit]"},
		{"dead redrive", 2, "--all"},
		{"dead drop", 2, "--all"},
		{"dead redrive sale:ch_1 --wait 5m", 2, "write --wait=5m"},
		{"dead redrive sale:ch_1 --wait=-5m", 2, "is negative"},
		{"dead drop sale:ch_1 --all", 2, "exclude"},
		{"backfill", 2, "say FILE"},
		{"backfill " + sales, 2, "--amount is missing"},
		{"backfill " + sales + " --amount cents", 2, "minor, major"},
		{"backfill " + sales + " --amount major --decimal x", 2, "--decimal"},
		{"backfill " + sales + " --amount minor --map id", 2, "column=field"},
		{"backfill " + sales + " --amount minor --map email=uid --map email=event_id", 2, `--map "email=event_id": the column is mapped already, to uid`},
		{"backfill " + sales + " --amount minor --kind order", 2, "--kind"},
		{"backfill " + sales + " --amount minor", 2, "no outbox is named"},
		{"backfill " + missing + " --amount minor", 1, "no such file"},
		{"reconcile --from tomorrow", 2, "is not a day"},
		{"reconcile --from 2026-02-01 --to 2026-01-01", 2, "is before"},
		{"reconcile --from 2016-01-01 --to 2026-02-10", 2, "--from 2016-01-01: is more than ten years before --to"},
		{"reconcile --from 0001-01-01", 2, "is more than ten years before --to"},
		{"reconcile --rate 0", 2, "--rate"},
		{"page --rate -5", 2, "--rate -5"},
		{"reconcile", 2, "the credentials are missing: set $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID"},
		{"why", 2, "say EMAIL, UID or EVENT-ID"},
		{"backfill past.csv --wait 20s", 2, "--wait=20s"},
		{"backfill past.csv --amount minor --wait=-20s", 2, "--wait -20s: is negative"},
		{"why ann@example.com ch_1", 2, `unexpected argument "ch_1"`},
		{"why ann@example.com", 2, "the credentials are missing: set $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID"},
		{"page --addr nowhere", 2, "host:port"},
		{"page --addr 0.0.0.0:8811", 2, "$FPROM_PAGE_PASSWORD"},
		{"explain", 2, "say PROVIDER"},
		{"explain acme", 2, "lemonsqueezy, paddle"},
		{"explain stripe " + missing, 1, "no such file"},
		{"fake --fault status=99", 2, "200 to 599"},
		{"fake --fault hang,colour=red", 2, "not known"},
		{"fake --fault hang,kind=", 2, "is not one of sale, refund, signup, cancellation, company"},
		{"fake --fault hang,kind=invoice", 2, "is not one of sale, refund, signup, cancellation, company"},
		{"fake --fault hang,event=", 2, "names no event id"},
		{"fake --fault hang,times=0", 2, "is no whole number above 0"},
		{"fake --fault hang,times=often", 2, "is no whole number above 0"},
		{"fake --fault hang,for=-1m", 2, "is no span such as 90s or 10m"},
		{"fake --fault delay=2", 2, "is no span such as 90s or 10m"},
		{"fake --fault hang,chance=7", 2, "is no number above 0, and at most 1"},
		{"fake --addr nowhere --limit -4", 2, "negative"},
		{"fake --addr nowhere", 1, "--addr"},
		{"trigger", 2, "--list"},
		{"trigger stripe", 2, "invoice.paid, invoice.payment_succeeded, refund.created; fprom trigger --list"},
		{"trigger stripe invoice.lost --to http://127.0.0.1 --secret x", 2, "invoice.paid"},
		{"trigger stripe invoice.paid", 2, "--to is missing"},
		{"trigger stripe invoice.paid --to http://127.0.0.1", 2, "--secret is missing"},
		{"trigger stripe invoice.paid --to shop.example/hook --secret x", 2, "http://"},
		{"trigger stripe invoice.paid --to https://shop.example/hook --secret x", 2, "add --yes to do it"},
		{"trigger stripe invoice.paid --to http://127.0.0.1 --secret x --currency JPY", 2, "has no hundredths"},
		{"trigger stripe invoice.paid --to http://127.0.0.1 --secret x --override data", 2, "path=value"},
		{"trigger stripe invoice.paid --to http://127.0.0.1 --secret x --override data.object.id.x=1", 2, "has no fields"},
		{"trigger stripe invoice.paid --to http://127.0.0.1 --secret x --override data..x=1", 2, "empty name"},
		{"trigger recurly paid_charge_invoice_notification --to http://127.0.0.1:1 --secret x --override invoice.uuid=1", 2, "is not JSON"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.args)
			r := fprom(t, nil, args...).want(t, c.code)
			if !strings.HasPrefix(r.err, "fprom: ") || !strings.Contains(r.err, c.says) || strings.Count(r.err, "\n") != 1 || r.out != "" {
				t.Errorf("want a line with %q on stderr: %s", c.says, r)
			}
			if strings.Contains(c.args, "-o ") {
				return
			}
			form := "json"
			if args[0] == "fake" {
				form = "jsonl"
			}
			r = fprom(t, nil, append(args, "-o", form)...)
			var v struct {
				Type, Error string
				Exit        int `json:"exit_status"`
			}
			if err := json.Unmarshal([]byte(r.err), &v); err != nil || v.Type != "error" || !strings.Contains(v.Error, c.says) || v.Exit != r.code {
				t.Errorf("%v in %s", err, r)
			}
		})
	}
}
