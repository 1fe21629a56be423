//go:build linux

package bench

import (
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom"
)

// sales makes messages of one length, cheaply: as NewMessage does, but with the id written over a copy.
type sales struct {
	last     atomic.Uint64
	template fprom.Message
}

func newSales() *sales {
	id := "000000000000"
	m, err := fprom.NewMessage(fprom.Sale{
		EventID: "ch_3MmlLrLkdIwHu7" + id, Email: "customer" + id + "@example.com", Amount: 1999, Currency: "USD", Plan: "price_pro_monthly",
	})
	if err != nil {
		panic(err)
	}
	return &sales{template: m}
}

func (s *sales) next() fprom.Message { return s.number(s.last.Add(1)) }

// number is the message with this number, for a second message with the same event id.
func (s *sales) number(n uint64) fprom.Message {
	var id [12]byte
	for i, rest := len(id)-1, n; i >= 0; i-- {
		id[i], rest = '0'+byte(rest%10), rest/10
	}
	t := &s.template
	fill := func(text string) string { return string(overwrite([]byte(text), id)) }
	return fprom.Message{
		Key: fill(t.Key), Kind: t.Kind, Body: overwrite(append([]byte(nil), t.Body...), id), Customer: fill(t.Customer), RecordedAt: time.Now(),
	}
}

// overwrite replaces each run of twelve zeros.
func overwrite(b []byte, id [12]byte) []byte {
	for i := 0; i+len(id) <= len(b); i++ {
		if b[i] == '0' && string(b[i:i+len(id)]) == "000000000000" {
			copy(b[i:], id[:])
			i += len(id) - 1
		}
	}
	return b
}
