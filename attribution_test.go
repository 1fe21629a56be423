package fprom_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
)

const tid = "9f1c0f4e-6a44-4d0c-9a0b-0d5b1f4d2c11"

func TestAttributionFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		cookie string
		want   string
	}{
		{"none", "", ""},
		{"ordinary", "_fprom_tid=" + tid, tid},
		{"among others", "session=1; _fprom_tid=" + tid + "; theme=dark", tid},
		{"without spaces", "a=1;_fprom_tid=abc;b=2", "abc"},
		{"accounts made before April 2021", "_fprom_track=old123", "old123"},
		{"both", "_fprom_track=old123; _fprom_tid=abc", "abc"},
		{"the new one is unusable", "_fprom_track=old123; _fprom_tid=null", "old123"},
		{"quoted", `_fprom_tid="quoted123"`, "quoted123"},
		{"one quote", `_fprom_tid=abc"`, ""},
		{"empty", "_fprom_tid=", ""},
		{"empty quotes", `_fprom_tid=""`, ""},
		{"no value", "_fprom_tid", ""},
		{"twice the same", "_fprom_tid=same; _fprom_tid=same", "same"},
		{"two different", "_fprom_tid=abc; _fprom_tid=xyz", "abc"},
		{"one is unusable", "_fprom_tid=undefined; _fprom_tid=abc", "abc"},
		{"300 unusable before", strings.Repeat("_fprom_tid=null; ", 300) + "_fprom_tid=abc", "abc"},
		{"other name", "__Host-_fprom_tid=abc; x_fprom_tid=abc; _fprom_tid2=abc; _FPROM_TID=abc", ""},
		{"attributes echoed", "_fprom_tid=abc; Path=/; HttpOnly", "abc"},
		{"base64", "_fprom_tid=aGk+/w==", "aGk+/w=="},
		{"percent-encoded NUL", "_fprom_tid=a%00b", ""},
		{"comma", "_fprom_tid=abc,def", ""},
		{"space", "_fprom_tid=abc def", ""},
		{"SQL", "_fprom_tid=' OR 1=1 --", ""},
		{"path", "_fprom_tid=../../etc/passwd", ""},
		{"markup", "_fprom_tid=<script>", ""},
		{"255 bytes", "_fprom_tid=" + strings.Repeat("A", 255), strings.Repeat("A", 255)},
		{"256 bytes", "_fprom_tid=" + strings.Repeat("A", 256), ""},
		{"64 KiB", "_fprom_tid=" + strings.Repeat("A", 1<<16), ""},
		{"right-to-left override", "_fprom_tid=\u202eabc", ""},
		{"emoji", "_fprom_tid=\U0001f4b0", ""},
		{"overlong UTF-8", "_fprom_tid=ab\xc0\xafcd", ""},
		{"control byte", "_fprom_tid=a\x01b", ""},
		{"line break", "_fprom_tid=a\r\nb", ""},
		{"the word null", "_fprom_tid=null", ""},
		{"the word undefined", "_fprom_tid=undefined", ""},
		{"the word None", "_fprom_tid=None", ""},
		{"the word nil", "_fprom_tid=nil", ""},
		{"stringified object", "_fprom_tid=[object Object]", ""},
		{"only separators", "; ;; =;", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := fprom.AttributionFrom(&http.Request{Header: http.Header{"Cookie": {c.cookie}}})
			if got != (fprom.Attribution{TID: c.want}) {
				t.Errorf("got %+v, want TID %q", got, c.want)
			}
		})
	}
}

func TestAttributionLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines []string
		want  fprom.Attribution
	}{
		{nil, fprom.Attribution{}},
		{[]string{"_fprom_tid=abc", "_fprom_ref=joe13"}, fprom.Attribution{TID: "abc", RefID: "joe13"}},
		{[]string{"_fprom_tid=abc", "_fprom_tid=xyz"}, fprom.Attribution{TID: "abc"}},
	} {
		if got := fprom.AttributionFrom(&http.Request{Header: http.Header{"Cookie": c.lines}}); got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.lines, got, c.want)
		}
	}
}

func TestAttributionMetadata(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a    fprom.Attribution
		want map[string]string
	}{
		{fprom.Attribution{}, map[string]string{}},
		{fprom.Attribution{TID: "abc"}, map[string]string{"fp_tid": "abc"}},
		{fprom.Attribution{TID: "abc", RefID: "joe13"}, map[string]string{"fp_tid": "abc", "fp_ref": "joe13"}},
	} {
		if got := c.a.Metadata(); got == nil || !maps.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.a, got, c.want)
		}
	}
}

// FuzzAttributionFrom: whatever the browser sends, a tid is one that net/http sees as well, and one that a Sale can carry.
func FuzzAttributionFrom(f *testing.F) {
	for _, line := range []string{"_fprom_tid=abc", `a=1; _fprom_tid="abc"; _fprom_track=x`, "_fprom_tid=a; _fprom_tid=b", " _fprom_tid = x ;;=", "_fprom_tid=\xff", "_fprom_tid=00\f", `"0"`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		got := fprom.AttributionFrom(r).TID
		if got == "" {
			return
		}
		seen := false
		for _, c := range append(r.CookiesNamed("_fprom_tid"), r.CookiesNamed("_fprom_track")...) {
			seen = seen || c.Value == got
		}
		if !seen && strings.Count(line, ";") < 3000 { // net/http gives up at 3000 cookies
			t.Errorf("%q: net/http does not see the tid %q", line, got)
		}
		if err := (fprom.Sale{EventID: "1", UID: "1", Amount: 1, TID: got}).Validate(); err != nil {
			t.Errorf("%q: tid %q: %v", line, got, err)
		}
	})
}

func TestAttributionApply(t *testing.T) {
	t.Parallel()
	a := fprom.Attribution{TID: "abc", RefID: "joe13"}
	for _, c := range []struct{ tid, refID, wantTID, wantRefID string }{
		{"", "", "abc", "joe13"},
		{"own", "", "own", "joe13"},
		{"", "own", "abc", "own"},
		{"null", " ", "abc", "joe13"},
	} {
		sale, signup := fprom.Sale{TID: c.tid, RefID: c.refID}, fprom.Signup{TID: c.tid, RefID: c.refID}
		a.Apply(&sale)
		a.Apply(&signup)
		if sale.TID != c.wantTID || sale.RefID != c.wantRefID || signup.TID != c.wantTID || signup.RefID != c.wantRefID {
			t.Errorf("%+v: %+v and %+v", c, sale, signup)
		}
	}
	kept := fprom.Sale{TID: "null"}
	fprom.Attribution{}.Apply(&kept)
	if kept.TID != "" {
		t.Errorf("nothing known: %+v", kept)
	}
}
