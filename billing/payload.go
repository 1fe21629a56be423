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

// Payload is one event of a provider while it is converted. Provider.Convert names it with Event. Then it fills in one Draft for
// each event for FirstPromoter (Sale, Refund, Cancellation, Signup), or calls Skip to say why there is none. Read values with
// Node.Text, Node.Int and Node.Decimal, and compute with the methods of Int: they remember the origin for Explain. A value of
// the wrong type fails the payload; call Fail for other errors.
type Payload struct {
	Root Node // the JSON object

	ctx    context.Context //nolint:containedctx // of one conversion; for the lookups of options
	config *config
	stored bool // the events of an earlier conversion; see ConvertAgain
	out    Explanation
	err    error
}

// Keys returns the names of the metadata entries (WithKeys).
func (p *Payload) Keys() Keys { return p.config.keys }

// Exponent returns the number of decimal digits of FirstPromoter's minor unit of a currency (money.Exponent or WithExponents). ok
// is false if currency is not an ISO 4217 code.
func (p *Payload) Exponent(currency string) (digits int, ok bool) {
	digits, ok = money.Exponent(currency)
	if e, set := p.config.exponents[strings.ToLower(currency)]; set {
		digits = e
	}
	return digits, ok && currency != ""
}

// Event sets the type and the id of the provider's event, for logs and Explain.
func (p *Payload) Event(eventType, id Text) { p.out.Type, p.out.ID = eventType.S, id.S }

// Skip says why nothing is tracked. If it is called twice, the first reason stays.
func (p *Payload) Skip(r Reason, detail string) {
	if p.out.Skipped == "" {
		p.out.Skipped, p.out.Detail = r, detail
	}
}

// SkipTest skips the payload if test is true and WithTestMode is not set. It reports whether it skipped.
func (p *Payload) SkipTest(test bool, detail string) bool {
	if !test || p.config.testMode {
		return false
	}
	p.Skip(TestMode, detail)
	return true
}

// SkipDispute skips a dispute or a chargeback if WithoutDisputes is set. It reports whether it skipped.
func (p *Payload) SkipDispute() bool {
	if !p.config.disputes {
		p.Skip(NotMoney, "disputes are not tracked (WithoutDisputes)")
	}
	return !p.config.disputes
}

// SkipOpen skips what is not finished, such as "the refund re_1" with the status "pending", if the provider lists no event for its end.
// The reason is ByHand.
func (p *Payload) SkipOpen(what, status string) {
	p.Skip(ByHand, what+" has the status "+status+", and no event is known for its end: if no later webhook reports it, report it by hand")
}

// SkipUndone skips a refund that has failed or was canceled, because it may have been reported before. The reason is ByHand.
func (p *Payload) SkipUndone(what, status string) {
	p.Skip(ByHand, what+" has the status "+status+": if it was reported before, enter a sale by hand")
}

// ConvertAgain asks the Handler to convert the webhook once more after its events are stored, and to enqueue what it has become. It
// reports whether this is that conversion. It is for a Provider that looks into the ledger of the queue: an event that is not there then
// comes after the events of the first conversion (with riverqueue, unless the transactions that store them overlap). These are accepted
// even if the second conversion fails.
func (p *Payload) ConvertAgain() bool {
	p.out.again = true
	return p.stored
}

// Context returns the request's context, for lookups of a Provider itself. In Events and Explain it is context.Background().
func (p *Payload) Context() context.Context { return p.ctx }

// Later stops the conversion because a lookup failed. The Handler answers 503, and the provider sends the webhook again.
func (p *Payload) Later(err error) { p.fail(notPermanent(err)) }

// Fail stops the conversion because the value at path is wrong. The Handler answers 422.
func (p *Payload) Fail(path, reason string) {
	p.fail(&fprom.ValidationError{Field: path, Reason: reason})
}

func (p *Payload) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Node is a value in the payload. A path that does not exist gives an absent Node; everything read from it is absent, too.
type Node struct {
	p    *Payload
	v    any
	path string
}

// Text is a string with the path it was read from. An empty string is absent.
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

// At returns the value at a path of member names and array indexes, such as "lines.data.0.price".
func (n Node) At(path string) Node {
	for name := range strings.SplitSeq(path, ".") {
		n = n.Key(name)
	}
	return n
}

// Key returns the member with that name, or the array element with that index.
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

// Each returns the elements of the array at path. If the value is not an array it returns none.
func (n Node) Each(path string) []Node {
	at := n.At(path)
	list, _ := at.v.([]any)
	out := make([]Node, len(list))
	for i, v := range list {
		out[i] = Node{n.p, v, at.path + "[" + strconv.Itoa(i) + "]"}
	}
	return out
}

// Has reports whether there is a value at path that is not null.
func (n Node) Has(path string) bool { return n.At(path).v != nil }

// Exists reports whether there is a value at path. It may be null.
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

// Bool returns the boolean at path, or false if there is none.
func (n Node) Bool(path string) bool { return n.At(path).v == true }

// Text returns the first string or number that is found at one of the paths. A number keeps its JSON form.
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

// Int returns the integer at path: a JSON number or a string. If the value is absent, null or "", OK is false. A value that is not
// an integer, or is above 2^53, fails the payload.
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

// Sum adds the integers at path of all elements of the array at list. If there is no array, OK is false.
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
