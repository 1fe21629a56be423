package boltqueue

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// DeadLetter is an event that was given up: FirstPromoter rejected it, it ran out of attempts, or its record is damaged.
type DeadLetter struct {
	ID         uint64        // for Redrive and Drop
	Message    fprom.Message // Attempt: how many were made; empty if Damaged
	Reason     string        // the last error, shortened to 1 KiB
	StatusCode int           // of the last answer; 0 if there was none
	Code       string        // FirstPromoter's "code" in it
	Answer     string        // FirstPromoter's "message" in it, shortened to 1 KiB
	At         time.Time     // when it was given up
	Damaged    bool          // the record on disk cannot be read; it can only be dropped
}

const deadPage = 100

// DeadLetters ranges over the dead letters, the oldest event first. It reads them in pages of 100 and holds up nothing;
// what changes meanwhile may be seen or not, but events that were put or redriven after the beginning are not. An error
// ends it.
func (q *Queue) DeadLetters(ctx context.Context) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		end := q.seqOfNext()
		for after := uint64(0); ; {
			page, err := q.deadPage(ctx, after, end)
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for _, d := range page {
				if !yield(d, nil) {
					return
				}
				after = d.ID
			}
			if len(page) < deadPage {
				return
			}
		}
	}
}

// seqOfNext is above the ids of all messages so far.
func (q *Queue) seqOfNext() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.nextSeq
}

// deadPage reads the dead letters with ids between after and end.
func (q *Queue) deadPage(ctx context.Context, after, end uint64) (page []DeadLetter, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	err = q.unusable()
	q.mu.Unlock()
	if err != nil {
		return nil, err
	}
	err = guard(func() error {
		return q.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketDead).Cursor()
			for k, v := c.Seek(seqKey(after + 1)); k != nil && len(page) < deadPage; k, v = c.Next() {
				id := binary.BigEndian.Uint64(k)
				if id >= end {
					break
				}
				if !dropped(v) {
					page = append(page, decodeLetter(id, v))
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("boltqueue: read %s: %w", q.path, err)
	}
	return page, nil
}

func decodeLetter(id uint64, v []byte) DeadLetter {
	info, raw, err := decodeDead(id, v)
	if err != nil {
		return DeadLetter{ID: id, Reason: err.Error(), Damaged: true}
	}
	d := DeadLetter{
		ID: id, Reason: info.Reason, StatusCode: info.Status, Code: info.Code, Answer: info.Answer, At: info.At, Damaged: info.Damaged,
	}
	if r, err := decodeRecord(id, raw); err == nil {
		d.Message = r.m
	} else {
		d.Damaged = true
	}
	return d
}

// Redrive puts dead letters back into the queue, as new messages with their old event ids. It returns how many; damaged
// ones stay, and so do those whose event was put again since. When it returns, the change is on disk.
func (q *Queue) Redrive(ctx context.Context, ids ...uint64) (int, error) {
	return q.changeDead(ctx, ids, (*work).redrive)
}

// RedriveAll is Redrive of all dead letters, in steps: after an error those before it are in the queue. Each is redriven
// once, also if it is given up again meanwhile.
func (q *Queue) RedriveAll(ctx context.Context) (int, error) {
	total, end := 0, q.seqOfNext()
	for after := uint64(0); ; {
		page, err := q.deadPage(ctx, after, end)
		if err != nil || len(page) == 0 {
			return total, err
		}
		ids := make([]uint64, len(page))
		for i, d := range page {
			ids[i], after = d.ID, d.ID
		}
		n, err := q.Redrive(ctx, ids...)
		total += n
		if err != nil {
			return total, err
		}
	}
}

// Drop removes dead letters for good, and returns how many it found. When it returns, the change is on disk.
func (q *Queue) Drop(ctx context.Context, ids ...uint64) (int, error) {
	return q.changeDead(ctx, ids, (*work).drop)
}

func (q *Queue) changeDead(ctx context.Context, ids []uint64, change func(*work, uint64, []byte) (bool, error)) (int, error) {
	n := 0
	ids = slices.Clone(ids) // the commit may come after ctx has ended
	err := q.do(ctx, &request{size: 512 * len(ids), apply: func(w *work) error {
		n = 0
		for _, id := range ids {
			v := w.dead().Get(seqKey(id))
			if dropped(v) {
				continue
			}
			ok, err := change(w, id, v)
			if err != nil {
				return err
			}
			if ok {
				n++
			}
		}
		return nil
	}})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (w *work) redrive(id uint64, v []byte) (bool, error) {
	d := decodeLetter(id, v)
	if d.Damaged {
		return false, nil
	}
	h := hashKey(d.Message.Key)
	if e, ok := w.lookup(h); ok && e.seq > id {
		return false, nil
	}
	if err := w.unbury(id); err != nil {
		return false, err
	}
	d.Message.Attempt = 0
	return true, w.store(d.Message, h, d.Message.Digest)
}

// drop leaves a note that the event was not done, whose key is free therefore. A damaged one's key is not known.
func (w *work) drop(id uint64, v []byte) (bool, error) {
	note := []byte{}
	if d := decodeLetter(id, v); !d.Damaged {
		h := hashKey(d.Message.Key)
		note = h[:]
	}
	if err := w.unbury(id); err != nil {
		return false, err
	}
	return true, w.dead().Put(seqKey(id), note)
}

// dropped reports whether v is no dead letter, or the note of one that was dropped.
func dropped(v []byte) bool { return len(v) <= len(hash{}) }

func (w *work) unbury(id uint64) error {
	w.dirty = true
	if !dropped(w.dead().Get(seqKey(id))) {
		decrease(&w.st.dead)
	}
	return w.dead().Delete(seqKey(id))
}
