package backfill_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
)

var (
	minor = backfill.Format{Amount: backfill.Minor}
	major = backfill.Format{Amount: backfill.Major}
)

// read returns every row, and what ended the reading.
func read(t *testing.T, text string, f backfill.Format) (rows []backfill.Row, err error) {
	t.Helper()
	in, err := backfill.NewReader(strings.NewReader(text), f)
	if err != nil {
		return nil, err
	}
	for r, err := range in.Rows() {
		if err != nil {
			return rows, err
		}
		r.Record = append([]string(nil), r.Record...)
		rows = append(rows, r)
	}
	return rows, nil
}

func TestForms(t *testing.T) {
	t.Parallel()
	want := fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 1999, Currency: "USD", SkipEmailNotification: true}
	at := time.Date(2026, 3, 10, 12, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		name, text string
		format     backfill.Format
	}{
		{"our names", "event_id,email,amount,currency,created_at\nch_1,ann@example.com,1999,USD,2026-03-10T12:30:00Z\n", minor},
		{"Go's names, CRLF, blank lines, spaces", "\r\nEventID, Email ,Amount,Currency,CreatedAt\r\n\r\nch_1, ann@example.com ,1999,USD,2026-03-10 12:30\r\n", minor},
		{"semicolons and a decimal comma", "event_id;email;amount;currency;created_at\nch_1;ann@example.com;19,99;USD;2026-03-10 12:30:00\n", backfill.Format{Amount: backfill.Major, Decimal: ','}},
		{"tabs and a byte order mark", "\xef\xbb\xbfevent_id\temail\tamount\tcurrency\tcreated_at\nch_1\tann@example.com\t19.99\tUSD\t1773145800\n", major},
		{"a quoted header behind a byte order mark", "\xef\xbb\xbf\"event_id\",email,amount,currency,created_at\nch_1,ann@example.com,1999,USD,1773145800\n", minor},
		{"JSONL behind a byte order mark", "\xef\xbb\xbf{\"event_id\":\"ch_1\",\"email\":\"ann@example.com\",\"amount\":1999,\"currency\":\"USD\",\"created_at\":1773145800}\n", minor},
		{"the guide's names beside ours", "order_id,event_id,email,sale_amount,amount,currency,created_at\no_7,ch_1,ann@example.com,5,1999,USD,1773145800\n", minor},
		{"a mapped name beside one in another case", "event_id,email,Total,total,currency,created_at\nch_1,ann@example.com,5,1999,USD,1773145800\n", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"total": "amount"}}},
		{"the guide's names, mapped", "order_id,email,sale_amount,currency,created_at\nch_1,ann@example.com,1999,USD,1773145800\n", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"order_id": "event_id", "sale_amount": "amount"}}},
		{"two dates", "id,email,amount,currency,created,date\nch_1,ann@example.com,1999,USD,2026-03-10T12:30:00Z,2026-03-11\n", minor},
		{"Stripe's payments", "id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Status,Description,Customer Email,Invoice ID\nch_1,2026-03-10 12:30:00,19.99,0.00,USD,true,Paid,\"a, b\",ann@example.com,in_1\n", major},
		{"Stripe's payments by invoice", "id,Created (UTC),Amount,Currency,Status,Customer Email,Invoice ID\npy_9,2026-03-10 12:30,19.99,USD,Paid,ann@example.com,ch_1\n", backfill.Format{Amount: backfill.Major, Map: map[string]string{"invoice id": "event_id"}}},
		{"Paddle's transactions", "transaction_id,status,customer_email,currency_code,subtotal,discount,tax,total,billed_at\nch_1,completed,ann@example.com,USD,2499,500,400,2399,2026-03-10T12:30:00Z\n", minor},
		{"a column that is left out", "event_id,email,amount,currency,status,created_at\nch_1,ann@example.com,1999,USD,shipped,2026-03-10T12:30:00Z\n", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"status": "-"}}},
		{"empty rows of a spreadsheet", "event_id;email;amount;currency;created_at\nch_1;ann@example.com;19,99;USD;2026-03-10 12:30:00\n;;;;\n; ;;;;\n", backfill.Format{Amount: backfill.Major, Decimal: ','}},
		{"separators behind the header and the row", "event_id,email,amount,currency,created_at,,\nch_1,ann@example.com,1999,USD,2026-03-10T12:30:00Z,,\n", minor},
		{"a rejects file", "event_id,email,amount,currency,created_at,line,reason\nch_1,ann@example.com,1999,USD,2026-03-10T12:30:00Z,7,bad\n", minor},
		{"JSONL", "{\"event_id\":\"ch_1\",\"email\":\"ann@example.com\",\"amount\":1999,\"currency\":\"USD\",\"created_at\":\"2026-03-10T12:30:00Z\",\"lines\":[1,{}]}\n", minor},
		{"JSONL with a mapped name in another case", "{\"event_id\":\"ch_1\",\"email\":\"ann@example.com\",\"Net\":1999,\"amount\":2399,\"currency\":\"USD\",\"created_at\":1773145800}", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"net": "amount"}}},
		{"JSONL with texts, other names and no line end", "\n{\"id\":\"ch_1\",\"customer_email\":\"ann@example.com\",\"amount\":\"19.99\",\"currency\":\"USD\",\"created\":1773145800,\"uid\":null}", major},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows, err := read(t, c.text, c.format)
			if err != nil || len(rows) != 1 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			if r := rows[0]; r.Err != nil || r.Event != fprom.Event(want) || !r.At.Equal(at) || r.Line < 1 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, text string
		want       fprom.Event
	}{
		{fprom.KindRefund, "event_id,uid,amount,currency,sale_event_id,quantity\nre_1,user-1,500,EUR,ch_1,2\n", fprom.Refund{EventID: "re_1", UID: "user-1", Amount: 500, Currency: "EUR", Quantity: 2, SaleEventID: "ch_1", SkipEmailNotification: true}},
		{fprom.KindSale, "event_id,email,uid,amount,currency,quantity,plan,mrr,promo_code,tid,ref_id\nch_1,ann@example.com,user-1,1999,EUR,2,pro,999,SPRING,t1,joe\n", fprom.Sale{EventID: "ch_1", Email: "ann@example.com", UID: "user-1", Amount: 1999, Currency: "EUR", Quantity: 2, Plan: "pro", MRR: 999, PromoCode: "SPRING", TID: "t1", RefID: "joe", SkipEmailNotification: true}},
		{fprom.KindSignup, "uid,ref_id,ip\nuser-1,joe,203.0.113.7\n", fprom.Signup{UID: "user-1", RefID: "joe", IP: "203.0.113.7", SkipEmailNotification: true}},
		{fprom.KindSignup, "email,tid,created_at\nann@example.com,t1,2026-03-10T12:00:00Z\n", fprom.Signup{Email: "ann@example.com", TID: "t1", CreatedAt: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), SkipEmailNotification: true}},
		{fprom.KindSignup, "email,ref_id,order_id\nann@example.com,joe,7\n", fprom.Signup{Email: "ann@example.com", RefID: "joe", SkipEmailNotification: true}},
		{fprom.KindCancellation, "email\nann@example.com\n", fprom.Cancellation{Email: "ann@example.com"}},
	} {
		rows, err := read(t, c.text, backfill.Format{Kind: c.kind, Amount: backfill.Minor})
		if err != nil || len(rows) != 1 || rows[0].Err != nil || rows[0].Event != c.want {
			t.Errorf("%s: %+v %v", c.kind, rows, err)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, says string
		format           backfill.Format
	}{
		{"sale_amount", "event_id,email,sale_amount\n", "it is amount", minor},
		{"order_id", "order_id,email,amount\n", "it is event_id", minor},
		{"no customer", "event_id,amount\n", "customer", minor},
		{"no id", "email,amount\n", "event_id", minor},
		{"a sign-up of nobody", "email,created_at\n", "tid or ref_id", backfill.Format{Kind: fprom.KindSignup}},
		{"two ids", "id,transaction_id,email,amount\n", "are both event_id", minor},
		{"the same name twice", "event_id,email,email,amount\n", `"email" is the name of several columns`, minor},
		{"no such column to map", "event_id,email,amount\n", `no column "Invoice" to map`, backfill.Format{Amount: backfill.Minor, Map: map[string]string{"Invoice": "event_id"}}},
		{"no such field to map", "event_id,email,amount\n", "no field", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"email": "mail"}}},
		{"a column mapped to two fields", "event_id,email,amount,Ref\n", "maps one column to several fields", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"Ref": "event_id", "ref": "plan"}}},
		{"two columns of the name to map", "event_id,email,Total,total\n", "the name of several columns", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"TOTAL": "amount"}}},
		{"empty", "\n \n", "empty", minor},
		{"lines of an old Macintosh", "event_id,email,amount,note\rch_1,ann@example.com,1999,x\rch_2,bob@example.com,1999,y", "CR alone", minor},
		{"Latin-1", "event_id,email,Betr\xe4ge\n", "save it as UTF-8", backfill.Format{Amount: backfill.Minor, Map: map[string]string{"Beträge": "amount"}}},
		{"UTF-16", "\xff\xfee\x00", "UTF-16", minor},
		{"UTF-16 of another machine", "\xfe\xff\x00e", "UTF-16", minor},
		{"an array", "[{}]", "JSONL", minor},
		{"Excel's separator", "sep=;\r\nevent_id;email;amount\r\n", "first line is Excel's", minor},
		{"no form of amounts", "event_id,email,amount\n", "Format.Amount", backfill.Format{}},
		{"an unknown kind", "event_id,email,amount\n", "Format.Kind", backfill.Format{Kind: "order"}},
		{"an unknown currency", "event_id,email,amount\n", "Format.Currency", backfill.Format{Amount: backfill.Major, Currency: "US"}},
		{"an odd decimal mark", "event_id,email,amount\n", "Format.Decimal", backfill.Format{Amount: backfill.Major, Decimal: '\''}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, c.text, c.format)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestRowsThatAreRefused(t *testing.T) {
	t.Parallel()
	const header = "event_id,email,amount,currency,status\n"
	for _, c := range []struct{ name, row, says string }{
		{"a decimal mark in minor units", "a,ann@example.com,19.99,USD,", "--amount major"},
		{"negative", "a,ann@example.com,-5,USD,", "negative"},
		{"no amount", "a,ann@example.com,,USD,", "Amount"},
		{"no customer", "a,,100,USD,", "Email"},
		{"a currency that is none", "a,ann@example.com,100,US,", "Currency"},
		{"a sign", "a,ann@example.com,$100,USD,", "whole number"},
		{"an exponent", "a,ann@example.com,1e3,USD,", "whole number"},
		{"not paid", "a,ann@example.com,100,USD,Failed", "status"},
		{"not paid yet", "a,ann@example.com,100,USD,Pending", "map it"},
		{"an id that a spreadsheet rounded", "1.23457E+17,ann@example.com,100,USD,", "event_id was rounded"},
		{"too few fields", "a,ann@example.com", "2 fields"},
		{"too many fields", "a,ann@example.com,1,000,USD,", "6 fields"},
		{"separators at its end", "a,ann@example.com,100,USD,paid,,", "write as many behind the header"},
		{"a stray quote", `a,ann"@example.com,100,USD,`, "no CSV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows, err := read(t, header+"SALE+1,ann@example.com,100,USD,paid\n"+c.row+"\n1E+X,ann@example.com,100,USD,Paid\n", minor)
			if err != nil || len(rows) != 3 || rows[0].Err != nil || rows[2].Err != nil {
				t.Fatalf("%+v %v", rows, err)
			}
			if r := rows[1]; r.Err == nil || r.Line != 3 || !strings.Contains(r.Err.Error(), c.says) || strings.Contains(r.Err.Error(), "ann") {
				t.Errorf("line %d: %v, want %q", r.Line, r.Err, c.says)
			}
		})
	}
}

// A customer's id that a spreadsheet rounded is refused, as an event id is.
func TestRoundedUID(t *testing.T) {
	t.Parallel()
	rows, err := read(t, "event_id,uid,amount\na,1.23457e+17,100\n", minor)
	if err != nil || len(rows) != 1 || rows[0].Err == nil || !strings.Contains(rows[0].Err.Error(), "uid was rounded") {
		t.Errorf("%+v %v", rows, err)
	}
}

// A member that stands twice in a line of JSONL says two things: the line is refused, and its text is kept for who mends it. What is
// left out, as in a log, may stand twice.
func TestJSONLWithAMemberTwice(t *testing.T) {
	t.Parallel()
	const twice = `{"event_id":"ch_1","email":"ann@example.com","amount":1999,"currency":"USD","\u0061mount":5}`
	rejects := filepath.Join(t.TempDir(), "rejects.jsonl")
	text := twice + "\n" + `{"event_id":"ch_2","email":"ann@example.com","amount":700,"currency":"USD","lines":[{"a":1,"a":2}],"time":1,"time":2}` + "\n"
	got, err := backfill.Run(t.Context(), strings.NewReader(text), backfill.Options{Format: minor, DryRun: true, RejectsPath: rejects})
	if err != nil || got.Queued != 1 || got.Invalid != 1 {
		t.Errorf("%+v %v", got, err)
	}
	b, _ := os.ReadFile(rejects)
	var row struct{ Raw, Reason string }
	if err := json.Unmarshal(b, &row); err != nil || row.Raw != twice || !strings.Contains(row.Reason, "amount twice") {
		t.Errorf("%s", b)
	}
	rows, err := read(t, twice, minor)
	if err != nil || len(rows) != 1 || rows[0].EventID != "ch_1" { // reconcile needs it: its commission is not foreign
		t.Errorf("%+v %v", rows, err)
	}
	rows, err = read(t, `{"ann@example.com":1,"ann@example.com":2}`+"\n", minor)
	if err != nil || len(rows) != 1 || rows[0].Err == nil || strings.Contains(rows[0].Err.Error(), "ann@") {
		t.Errorf("a name that is an address: %+v %v", rows, err)
	}
}

// A line of JSONL in which a member is no value is refused, as is one that is no object. The others are read.
func TestLinesOfJSONLThatAreRefused(t *testing.T) {
	t.Parallel()
	const good = `{"event_id":"ch_1","email":"ann@example.com","amount":1999}` + "\n"
	for line, says := range map[string]string{
		`{"event_id":"ch_2","email":"ann@example.com","amount":{"value":5}}`: "the member for amount is no text and no number",
		`{"event_id":["ch_2"],"email":"ann@example.com","amount":5}`:         "the member for event_id is no text and no number",
		`["ch_2","ann@example.com",5]`:                                       "no JSON object",
		`{"event_id":"ch_2"`:                                                 "no JSON object",
	} {
		rows, err := read(t, good+line+"\n"+strings.Replace(good, "ch_1", "ch_3", 1), minor)
		if err != nil || len(rows) != 3 || rows[0].Err != nil || rows[2].Err != nil || rows[1].Err == nil || !strings.Contains(rows[1].Err.Error(), says) {
			t.Errorf("%s: %+v %v", line, rows, err)
		}
	}
}

// Each line of JSONL is read by its own names, and a file may be larger than a row.
func TestJSONLOfOtherNames(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	const n = 15_000 // more than a row's 1 MiB
	for i := range n {
		fmt.Fprintf(&b, map[bool]string{true: `{"event_id":"ch_%d","email":"ann%d@example.com","amount":1999}`, false: `{"id":"ch_%d","customer_email":"ann%d@example.com","subtotal":1999}`}[i%2 == 0]+"\n", i, i)
	}
	rows, err := read(t, b.String(), minor)
	if err != nil || len(rows) != n {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows[:2] {
		if r.Err != nil {
			t.Errorf("%+v", r)
		}
	}
}

// The date of a sign-up is sent, so a sign-up whose date cannot be read is refused. So is a row of a list that is compared by its dates.
func TestRowsWithoutAReadableDate(t *testing.T) {
	t.Parallel()
	rows, err := read(t, "email,tid,created_at\nann@example.com,t1,10/03/2026\nbob@example.com,t2,\n", backfill.Format{Kind: fprom.KindSignup})
	if err != nil || len(rows) != 2 || rows[0].Err == nil || !strings.Contains(rows[0].Err.Error(), "CreatedAt") || rows[1].Err != nil {
		t.Errorf("%+v %v", rows, err)
	}
	rows, err = read(t, "event_id,email,amount,created_at\na,ann@example.com,5,\nb,ann@example.com,5,soon\nc,ann@example.com,5,2026-03-10\n", backfill.Format{Amount: backfill.Minor, NeedDate: true})
	if err != nil || len(rows) != 3 || rows[0].Err == nil || rows[1].Err == nil || rows[2].Err != nil {
		t.Errorf("each row needs its date: %+v %v", rows, err)
	}
}

// A line of JSONL without the mapped amount is refused: another member that is named amount is not what was asked for.
func TestJSONLWithoutAMappedAmount(t *testing.T) {
	t.Parallel()
	const line = `{"event_id":"ch_%d","email":"ann@example.com","currency":"USD","amount":2399%s}` + "\n"
	f := backfill.Format{Amount: backfill.Minor, Map: map[string]string{"net": "amount"}}
	rows, err := read(t, fmt.Sprintf(line, 1, `,"net":1999`)+fmt.Sprintf(line, 2, ""), f)
	if err != nil || len(rows) != 2 || rows[0].Err != nil || rows[1].Err == nil || !strings.Contains(rows[1].Err.Error(), "no column is amount") {
		t.Errorf("%+v %v", rows, err)
	}
}

func TestMixedAmountsEndTheReading(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		decimal rune
		amount  string
	}{{'.', "19,99"}, {'.', "1,999.00"}, {',', "19.99"}, {',', "1.999,00"}} {
		text := "event_id;email;amount\na;ann@example.com;5\nb;ann@example.com;" + c.amount + "\nc;ann@example.com;5\n"
		rows, err := read(t, text, backfill.Format{Amount: backfill.Major, Decimal: c.decimal})
		if !errors.Is(err, backfill.ErrMixedAmounts) || len(rows) != 1 || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%q with %q: %d rows, %v", c.amount, c.decimal, len(rows), err)
		}
	}
}

// A file without a header has a customer in its first line: the error does not show the address.
func TestFileWithoutAHeader(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"ch_1,ann@example.com,1999\n", `{"ch_1":1,"ann@example.com":2}` + "\n"} {
		rows, err := read(t, text, minor)
		if len(rows) == 1 {
			err = rows[0].Err
		}
		if err == nil || strings.Contains(err.Error(), "ann@") || !strings.Contains(err.Error(), "is the first line a row?") {
			t.Error(err)
		}
	}
}

// 1.000 is a thousand to half of the world, and one unit to the others.
func TestThreeDecimalsMayBeThousands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount, currency string
		want             int64 // 0: refused
	}{
		{"1.000", "USD", 0},
		{"999.000", "", 0},
		{"-1.000", "USD", 0},
		{"1.000", "JPY", 0},
		{"1.000", "KWD", 100},
		{"0.500", "USD", 50},
		{"1999.000", "USD", 199900},
		{"1.0000", "USD", 100},
		{"1.00", "USD", 100},
	} {
		got, err := major.ParseAmount(c.amount, c.currency)
		if got != c.want || (err != nil) != (c.want == 0) || err != nil && !strings.Contains(err.Error(), "thousand") {
			t.Errorf("%s %s: %d %v, want %d", c.amount, c.currency, got, err, c.want)
		}
	}
}

// A subscription's id in place of each payment's is found out: FirstPromoter would take one payment of it. A repeated row is none.
func TestOneIDForSeveralPayments(t *testing.T) {
	t.Parallel()
	const header = "event_id,email,amount,created_at\n"
	for _, c := range []struct{ name, rows, says string }{
		{"another month", "sub_1,ann@example.com,1900,2026-01-10\nsub_1,ann@example.com,1900,2026-02-10\n", "event id of line 2"},
		{"another customer", "1,ann@example.com,1900,\n1,bob@example.com,1900,\n", "event id of line 2"},
		{"the same row again", "in_1,ann@example.com,1900,2026-01-10\nin_1,Ann@example.com,1900,2026-01-10\n", ""},
		{"another amount", "in_1,ann@example.com,1900,2026-01-10\nin_1,ann@example.com,2900,2026-02-10\n", ""}, // the outbox finds it
	} {
		rows, err := read(t, header+c.rows, minor)
		if err != nil || len(rows) != 2 || rows[0].Err != nil {
			t.Fatalf("%s: %+v %v", c.name, rows, err)
		}
		if got := rows[1]; c.says == "" && (got.Err != nil || got.Event == nil) || c.says != "" && (got.Err == nil || got.Event != nil || !strings.Contains(got.Err.Error(), c.says)) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestAnOpenQuoteDoesNotTakeInTheFile(t *testing.T) {
	t.Parallel()
	for n, row := range []string{"", "a,ann@example.com,5\n"} {
		text := "event_id,email,amount\n" + row + "b,\"ann@example.com,5\n" + strings.Repeat("c,ann@example.com,5\n", 1<<17)
		rows, err := read(t, text, minor)
		if err == nil || len(rows) != n || !strings.Contains(err.Error(), fmt.Sprintf("after line %d:", n+1)) {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	}
	if rows, err := read(t, `{"event_id":"`+strings.Repeat("x", 1<<21)+"\n", minor); err == nil || len(rows) != 0 || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("JSONL: %d rows, %v", len(rows), err)
	}
	if _, err := backfill.NewReader(failing{}, minor); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	in, err := backfill.NewReader(strings.NewReader("id,Amount,Customer Email,Customer ID,fp_uid (metadata)\n"), major)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(in.Columns()); got != "[{id event_id} {Amount amount} {Customer Email email} {Customer ID } {fp_uid (metadata) uid}]" {
		t.Error(got)
	}
}

// A row that a pipe has given is used before more comes: what writes into the pipe may take long.
func TestAPipeThatWaits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"event_id,email,amount\nch_1,ann@example.com,1999\n", "\n{\"event_id\":\"ch_1\",\"email\":\"ann@example.com\",\"amount\":1999}\n"} {
		r, w := io.Pipe()
		timeout := time.AfterFunc(time.Minute, func() { _ = w.Close() })
		go func() { _, _ = io.WriteString(w, text) }()
		in, err := backfill.NewReader(r, minor)
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range in.Rows() {
			if err != nil || row.EventID != "ch_1" {
				t.Errorf("%+v %v", row, err)
			}
			break
		}
		if !timeout.Stop() {
			t.Error("it waited for more")
		}
		_ = r.Close()
	}
}

// Dates are read as providers and databases write them. One in a zone that only has a name is none: which zone EST is, only
// the machine knows that wrote it.
func TestDates(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-03-10T12:00:00Z": noon, "2026-03-10T12:00:00.000Z": noon, "2026-03-10T14:00:00+02:00": noon, "2026-03-10T14:00:00.000+0200": noon,
		"2026-03-10 12:00": noon, "2026-03-10 12:00:00": noon, "2026-03-10T12:00": noon, "2026-03-10T12:00:00": noon,
		"2026-03-10 12:00:00 UTC": noon, "2026-03-10 12:00:00 GMT": noon, "2026-03-10 13:00:00 +0100": noon,
		"2026-03-10 12:00:00+00": noon, "2026-03-10 17:30:00.000000+05:30": noon, "2026-03-10": noon.Add(-12 * time.Hour), // PostgreSQL
		"1773144000": noon, "1773144000000": noon,
		"202603101200": {}, "20260310120000": {}, // no seconds since 1970
		"999999999": {}, "1000000000": time.Unix(1e9, 0), "9999999999": time.Unix(9999999999, 0), "10000000000": {},
		"999999999999": {}, "1000000000000": time.UnixMilli(1e12), "9999999999999": time.UnixMilli(9999999999999), "10000000000000": {},
		"2026-03-10 12:00:00 EST": {}, "2026-03-10 12:00:00 CET": {}, "10/03/2026": {}, "10.03.2026": {}, "2026-02-30": {}, "12:00": {}, "17": {},
	} {
		rows, err := read(t, "event_id,email,amount,created_at\nch_1,ann@example.com,1,"+text+"\n", backfill.Format{Amount: backfill.Minor})
		if err != nil || len(rows) != 1 || rows[0].Err != nil || !rows[0].At.Equal(want) {
			t.Errorf("%s: %v %+v, want %v", text, err, rows, want)
		}
	}
}

// What an amount without a currency means, only the operator knows: 1500 may be yen.
func TestCurrencyOfRowsWithoutOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency string
		want     []fprom.Sale
	}{
		{"", []fprom.Sale{{Amount: 150000}, {Amount: 700, Currency: "EUR"}}},
		{"JPY", []fprom.Sale{{Amount: 1500, Currency: "JPY"}, {Amount: 700, Currency: "EUR"}}},
	} {
		for _, text := range []string{
			"event_id,email,amount,currency\nch_1,ann@example.com,1500,\nch_1,ann@example.com,7,EUR\n",
			`{"event_id":"ch_1","email":"ann@example.com","amount":1500}` + "\n" + `{"event_id":"ch_1","email":"ann@example.com","amount":7,"currency":"EUR"}`,
		} {
			rows, err := read(t, text, backfill.Format{Amount: backfill.Major, Currency: c.currency})
			if err != nil || len(rows) != 2 {
				t.Fatal(rows, err)
			}
			for i, r := range rows {
				c.want[i].EventID, c.want[i].Email, c.want[i].SkipEmailNotification = "ch_1", "ann@example.com", true
				if r.Event != fprom.Event(c.want[i]) {
					t.Errorf("%q: %+v, want %+v", c.currency, r, c.want[i])
				}
			}
		}
	}
}

// TestAmountErrorsNameTheirField: a row may have three amounts, and the reason says which one is wrong.
func TestAmountErrorsNameTheirField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ row, field string }{
		{"x,1,1", "Amount"}, {"19,x,1", "Discount"}, {"19,20,1", "Discount"}, {"19,-1,1", "Discount"}, {"19,1,x", "MRR"}, {"19,1,-5", "MRR"}, {"5,5,1", "Amount"},
	} {
		rows, err := read(t, "event_id,email,amount,discount,mrr\nch_1,ann@example.com,"+c.row+"\n", major)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if v, is := errors.AsType[*fprom.ValidationError](rows[0].Err); !is || v.Field != c.field || errors.Is(v, backfill.ErrZeroAmount) != (c.row == "5,5,1") {
			t.Errorf("%s: %v, want %s", c.row, rows[0].Err, c.field)
		}
	}
}
