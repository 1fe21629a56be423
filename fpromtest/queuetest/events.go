package queuetest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
)

// message returns the message of an event.
func (r *rig) message(e fprom.Event) fprom.Message {
	r.t.Helper()
	m, err := fprom.NewMessage(e)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// sale returns the message of a sale by a customer.
func (r *rig) sale(id, customer string, amount int64) fprom.Message {
	r.t.Helper()
	return r.message(fprom.Sale{EventID: id, Email: customer + "@example.com", Amount: amount, Currency: "usd", Plan: "<pro> & ü"})
}

// sales returns n sales by n customers.
func (r *rig) sales(prefix string, n int) []fprom.Message {
	r.t.Helper()
	ms := make([]fprom.Message, n)
	for i := range ms {
		ms[i] = r.sale(prefix+strconv.Itoa(i), prefix+"-customer"+strconv.Itoa(i), 100)
	}
	return ms
}

// bulk returns copies of the messages that are marked as bulk.
func bulk(ms ...fprom.Message) []fprom.Message {
	ms = slices.Clone(ms)
	for i := range ms {
		ms[i].Bulk = true
	}
	return ms
}

func keysOf(ms []fprom.Message) []string {
	keys := make([]string, len(ms))
	for i, m := range ms {
		keys[i] = m.Key
	}
	return keys
}

// checkSame checks that a first attempt delivers what was put. The JSON of the body may be formatted differently.
func (r *rig) checkSame(got, want fprom.Message) {
	r.t.Helper()
	if got.Attempt != 1 {
		r.t.Errorf("the first attempt of %s has Attempt %d, want 1", want.Key, got.Attempt)
	}
	if got.Key != want.Key || got.Kind != want.Kind || got.Customer != want.Customer || got.Digest != want.Digest ||
		got.Bulk != want.Bulk || got.RecordedAt.Sub(want.RecordedAt).Abs() > time.Millisecond {
		r.t.Errorf("delivered %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(decoded(got.Body), decoded(want.Body)) {
		r.t.Errorf("delivered body %s, want %s", got.Body, want.Body)
	}
}

func decoded(b []byte) any {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}
