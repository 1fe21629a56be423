package fpromtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing/iotest"
	"time"

	"github.com/fprom-go/fprom"
)

// reply is an answer, before it is sent over a socket or in memory.
type reply struct {
	status int
	header http.Header
	body   []byte
	cut    bool          // send half of the body, then break the connection
	slow   time.Duration // time over which the body is sent
	reset  bool          // break the connection instead of answering
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

func message(status int, text string) reply { return jsonReply(status, object{"message": text}) }

func coded(status int, code, text string) reply {
	return jsonReply(status, object{"message": text, "code": code})
}

func notFound() reply { return coded(http.StatusNotFound, "not_found", msgNotFound) }

func page(status int, title string) reply {
	return rawReply(status, "text/html; charset=utf-8",
		[]byte("<!DOCTYPE html>\n<html><head><title>"+title+"</title></head><body><h1>"+title+"</h1></body></html>\n"))
}

func notFoundPage() reply {
	return page(http.StatusNotFound, "The page you were looking for doesn't exist (404)")
}

// noEndpoint answers a path or method that the fake does not have, and notes it for the test's log. Server.mu is held.
func (s *Server) noEndpoint(r Request) reply {
	if call := r.Method + " " + r.Path; !slices.Contains(s.unknown, call) {
		s.unknown = append(s.unknown, call)
	}
	rep := notFoundPage()
	rep.body = append(rep.body, "<!-- fpromtest: the fake has no such endpoint; the package's documentation says which it has -->\n"...)
	return rep
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

// bodyAllowed reports whether HTTP lets this answer have a body.
func (r reply) bodyAllowed() bool {
	return r.status >= 200 && r.status != http.StatusNoContent && r.status != http.StatusNotModified
}

// slowPieces is how many pieces a slow body is sent in.
const slowPieces = 10

// reader returns the body as the client sees it. pause waits for a time, or returns an error if the client is gone.
func (r reply) reader(pause func(time.Duration) error) io.Reader {
	var whole io.Reader = bytes.NewReader(r.body)
	if r.cut {
		whole = io.MultiReader(bytes.NewReader(r.body[:len(r.body)/2]), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	return &pausingReader{r: whole, piece: len(r.body)/slowPieces + 1, wait: r.slow / slowPieces, pause: pause}
}

// pausingReader waits before each piece. It stops when the client is gone.
type pausingReader struct {
	r     io.Reader
	piece int
	wait  time.Duration
	pause func(time.Duration) error
}

func (p *pausingReader) Read(b []byte) (int, error) {
	if err := p.pause(p.wait); err != nil {
		return 0, err
	}
	return p.r.Read(b[:min(len(b), p.piece)])
}

var errClosed = errors.New("fpromtest: the server is closed")
