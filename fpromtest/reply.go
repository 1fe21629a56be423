package fpromtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing/iotest"
	"time"

	"github.com/fprom-go/fprom"
)

// reply is an answer, before it is sent over a socket or in memory.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	padding  int64 // number of bytes between body and tail
	tail     []byte
	cut      bool          // send half of the body, then break the connection
	slow     time.Duration // time over which the body is sent
	redirect bool          // to trapPath
	reset    bool          // break the connection instead of answering
}

func rawReply(status int, contentType string, body []byte) reply {
	return reply{status: status, header: http.Header{"Content-Type": {contentType}}, body: body}
}

func jsonReply(status int, v any) reply {
	b, err := json.Marshal(v)
	if err != nil {
		panic("fpromtest: " + err.Error()) // strings, numbers, maps: cannot happen
	}
	return rawReply(status, "application/json; charset=utf-8", b)
}

func message(status int, text string) reply {
	return jsonReply(status, map[string]string{"message": text})
}

func notFound() reply {
	return jsonReply(http.StatusNotFound, map[string]string{"message": msgNotFound, "code": "not_found"})
}

func page(status int, title string) reply {
	return rawReply(status, "text/html; charset=utf-8",
		[]byte("<!DOCTYPE html>\n<html><head><title>"+title+"</title></head><body><h1>"+title+"</h1></body></html>\n"))
}

func notFoundPage() reply {
	return page(http.StatusNotFound, "The page you were looking for doesn't exist (404)")
}

// statusReply returns the answer of an injected status, as documented for the kind of request if it is documented.
func statusReply(r Request, code int) reply {
	switch {
	case code == http.StatusNotFound && r.Kind == fprom.KindSignup:
		return message(code, msgVisitor)
	case code == http.StatusNotFound:
		return notFound()
	case code == http.StatusConflict:
		return exists(r.Kind, r.EventID)
	case code == http.StatusBadRequest && (r.Kind == fprom.KindSale || r.Kind == fprom.KindRefund):
		return message(code, msgAmount)
	case code == http.StatusBadRequest:
		return message(code, msgBlankCustomer)
	case code == http.StatusUnprocessableEntity && r.Kind == fprom.KindSignup:
		return jsonReply(code, object{"transaction_id": msgSignedUp})
	case code == http.StatusNoContent, code == http.StatusNotModified,
		code == http.StatusUnauthorized, code == http.StatusTooManyRequests:
		return reply{status: code}
	case code >= 500:
		return page(code, strconv.Itoa(code)+" "+http.StatusText(code))
	case code >= 400:
		return message(code, "injected: "+http.StatusText(code))
	default:
		return jsonReply(code, object{})
	}
}

// exists answers that an event id is already used.
func exists(kind, id string) reply {
	return message(http.StatusConflict, "The '"+kind+"' event with the id '"+id+"' already exists.")
}

// size is the Content-Length.
func (r reply) size() int64 { return int64(len(r.body)) + r.padding + int64(len(r.tail)) }

// bodyAllowed reports whether HTTP lets this answer have a body.
func (r reply) bodyAllowed() bool {
	return r.status >= 200 && r.status != http.StatusNoContent && r.status != http.StatusNotModified
}

// slowPieces is how many pieces a slow body is sent in.
const slowPieces = 10

// reader returns the body as the client sees it. pause waits for a time, or returns an error if the client is gone.
func (r reply) reader(pause func(time.Duration) error) io.Reader {
	var whole io.Reader = bytes.NewReader(r.body)
	if r.padding > 0 {
		whole = io.MultiReader(whole, io.LimitReader(padding{}, r.padding), bytes.NewReader(r.tail))
	}
	if r.cut {
		whole = io.MultiReader(io.LimitReader(whole, r.size()/2), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	if r.slow > 0 {
		return &slowReader{r: whole, piece: int(r.size())/slowPieces + 1, wait: r.slow / slowPieces, pause: pause}
	}
	return &checkedReader{r: whole, pause: pause}
}

// padding reads the same letter without end.
type padding struct{}

func (padding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// slowReader waits before each piece.
type slowReader struct {
	r     io.Reader
	piece int
	wait  time.Duration
	pause func(time.Duration) error
}

func (s *slowReader) Read(p []byte) (int, error) {
	if err := s.pause(s.wait); err != nil {
		return 0, err
	}
	return s.r.Read(p[:min(len(p), s.piece)])
}

// checkedReader stops when the client is gone.
type checkedReader struct {
	r     io.Reader
	pause func(time.Duration) error
}

func (c *checkedReader) Read(p []byte) (int, error) {
	if err := c.pause(0); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

var errClosed = errors.New("fpromtest: the server is closed")
