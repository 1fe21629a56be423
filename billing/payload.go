package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/money"
)

// Payload is one event of a provider while it is converted. Convert names it with Event, and then either fills in one
// Draft for each event of FirstPromoter's (Sale, Refund, Cancellation, Signup) or says with Skip why there is none. Values
// are read with Node.Text, Node.Int and Node.Decimal, and computed with the methods of Int: so Explain can say where each
// came from. A value of the wrong type fails the payload by itself; Fail does it for other reasons.
type Payload struct {
	Root Node // the JSON object

	ctx    context.Context //nolint:containedctx // lives as long as one conversion, for the options that look things up
	config *config
	out    Explanation
	err    error
}

// TrialSignups reports whether WithTrialSignups is set.
func (p *Payload) TrialSignups() bool { return p.config.signups }

// Disputes reports whether disputes are refunds: they are without WithoutDisputes.
func (p *Payload) Disputes() bool { return p.config.disputes }

// Keys are the names of the metadata entries (WithKeys).
func (p *Payload) Keys() Keys { return p.config.keys }

// Exponent is the number of decimal digits of FirstPromoter's minor unit of a currency (fprom/money, or WithExponents). ok
// is false for what is not an ISO 4217 code.
func (p *Payload) Exponent(currency string) (digits int, ok bool) {
	digits, ok = money.Exponent(currency)
	if e, set := p.config.exponents[strings.ToLower(currency)]; set {
		digits = e
	}
	return digits, ok && currency != ""
}

// Event names the payload: the event's type and the id that the provider gave the event.
func (p *Payload) Event(eventType, id Text) { p.out.Type, p.out.ID = eventType.S, id.S }

// Skip says why nothing is tracked. The first reason counts.
func (p *Payload) Skip(r Reason, detail string) {
	if p.out.Skipped == "" {
		p.out.Skipped, p.out.Detail = r, detail
	}
}

// SkipTest skips a payload of test mode, unless they are accepted. It reports whether it did.
func (p *Payload) SkipTest(test bool, detail string) bool {
	if !test || p.config.testMode {
		return false
	}
	p.Skip(TestMode, detail)
	return true
}

// Context is the request's, or the background in Events and Explain: for look-ups of a Provider's own.
func (p *Payload) Context() context.Context { return p.ctx }

// Later gives the payload up for now, because of a look-up that failed: the Handler answers 503. The first error counts.
func (p *Payload) Later(err error) { p.fail(notPermanent(err)) }

// Fail gives the payload up because of a value that cannot be right: the Handler answers 422. The first one counts.
func (p *Payload) Fail(path, reason string) {
	p.fail(&fprom.ValidationError{Field: path, Reason: reason})
}

func (p *Payload) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Node is a place in the payload. A place that does not exist is a Node too; everything read from it is absent.
type Node struct {
	p    *Payload
	v    any
	path string
}

// Text is a string and the path it was read from. The empty string is absent.
type Text struct{ S, From string }

func parse(payload []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if _, more := d.Token(); err != nil || more != io.EOF {
		return nil, &fprom.ValidationError{Field: "payload", Reason: "is not one JSON value"}
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, &fprom.ValidationError{Field: "payload", Reason: "is not a JSON object"}
	}
	return v, nil
}

// At follows a path of member names and array indexes such as "lines.data.0.price".
func (n Node) At(path string) Node {
	for name := range strings.SplitSeq(path, ".") {
		n = n.Key(name)
	}
	return n
}

// Key is the member of that name, or the element of that index.
func (n Node) Key(name string) Node {
	switch v := n.v.(type) {
	case map[string]any:
		path := name
		if n.path != "" {
			path = n.path + "." + name
		}
		return Node{n.p, v[name], path}
	case []any:
		if i, err := strconv.Atoi(name); err == nil && 0 <= i && i < len(v) {
			return Node{n.p, v[i], n.path + "[" + strconv.Itoa(i) + "]"}
		}
	}
	return Node{p: n.p, path: n.path + "." + name}
}

// Each is the elements of the array at path; none if it is something else.
func (n Node) Each(path string) []Node {
	at := n.At(path)
	list, _ := at.v.([]any)
	out := make([]Node, len(list))
	for i, v := range list {
		out[i] = Node{n.p, v, at.path + "[" + strconv.Itoa(i) + "]"}
	}
	return out
}

// Has reports whether there is a value other than null at path.
func (n Node) Has(path string) bool { return n.At(path).v != nil }

// Exists reports whether there is a value at path, be it null.
func (n Node) Exists(path string) bool {
	i := strings.LastIndexByte(path, '.')
	parent := n
	if i > 0 {
		parent = n.At(path[:i])
	}
	m, _ := parent.v.(map[string]any)
	_, ok := m[path[i+1:]]
	return ok
}

// Bool is the boolean at path; false if it is absent.
func (n Node) Bool(path string) bool { return n.At(path).v == true }

// Text is the string or number at the first of paths that has one. Numbers are taken as they are written.
func (n Node) Text(paths ...string) Text {
	for _, path := range paths {
		if t := n.At(path).text(); t.S != "" {
			return t
		}
	}
	return Text{}
}

func (n Node) text() Text {
	switch v := n.v.(type) {
	case string:
		return Text{v, n.path}
	case json.Number:
		return Text{v.String(), n.path}
	}
	return Text{}
}

// Int is the integer at path: a JSON number or a string. Absent, null and "" are no integer; anything else, and
// anything beyond 2^53, fails the payload.
func (n Node) Int(path string) Int {
	at := n.At(path)
	if at.v == nil || at.v == "" {
		return Int{}
	}
	t := at.text()
	i, err := money.ParseDecimal(t.S, 0)
	if err != nil || i > maxInt || i < -maxInt {
		n.p.Fail(at.path, "is not an integer, or too large")
		return Int{}
	}
	return Int{N: i, From: at.path, OK: true}
}

// Sum is the sum of the integer at path in every element of the array at list; no integer if there is no array.
func (n Node) Sum(list, path string) Int {
	at := n.At(list)
	if _, ok := at.v.([]any); !ok {
		return Int{}
	}
	sum := Int{From: at.path + "[]." + path, OK: true}
	for _, e := range n.Each(list) {
		sum.N = saturate(sum.N, e.Int(path).N)
	}
	return sum
}
