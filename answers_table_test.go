package fprom_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// verdict is a row of the table of answers: what one means for the caller, the queue, the breaker and the account.
type verdict struct {
	name    string
	event   fprom.Event // default: the sale evt_1
	reply   reply
	outcome fprom.Outcome
	queue   string // done, dead, again (an attempt is spent), held (none is)
	breaker string // success, failure, neither
	pause   time.Duration
	alone   bool  // a single one pauses nobody, though it says how long to wait
	is      error // what errors.Is finds, if anything
}

const jsonType = "application/json; charset=utf-8"

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func typed(status int, contentType, body string) reply {
	return reply{status: status, header: header("Content-Type", contentType), body: body}
}

func object(status int, body string) reply { return typed(status, jsonType, body) }
func page(status int) reply                { return typed(status, "text/html", htmlPage) }

var evt1 = sale("evt_1")

// done, rejected, again, refused, suspected and throttled make the rows of each kind of verdict.
func done(name string, o fprom.Outcome, r reply) verdict {
	return verdict{name: name, reply: r, outcome: o, queue: "done", breaker: "success"}
}

func rejected(name string, r reply) verdict {
	return verdict{name: name, reply: r, outcome: fprom.Rejected, queue: "dead", breaker: "neither"}
}

func again(name string, r reply) verdict {
	return verdict{name: name, reply: r, outcome: fprom.Undelivered, queue: "again", breaker: "failure"}
}

func refused(name string, r reply) verdict {
	return verdict{name: name, reply: r, outcome: fprom.Undelivered, queue: "held", breaker: "neither", pause: time.Second, is: fprom.ErrUnauthorized}
}

// suspected is the account's fault or the event's: a single one pauses nobody.
func suspected(name string, r reply) verdict {
	v := verdict{name: name, reply: r, outcome: fprom.Undelivered, queue: "again", breaker: "neither"}
	if r.status == http.StatusForbidden {
		v.is = fprom.ErrUnauthorized
	}
	return v
}

func throttled(name string, pause time.Duration, r reply) verdict {
	return verdict{name: name, reply: r, outcome: fprom.Undelivered, queue: "held", breaker: "neither", pause: pause}
}

func (v verdict) single() verdict {
	v.alone = true
	return v
}

func (v verdict) of(e fprom.Event) verdict {
	v.event = e
	return v
}

var (
	aRefund = fprom.Refund{EventID: "evt_1", UID: "cus_1", Amount: 1000}
	aSignup = fprom.Signup{Email: "lead@example.com", TID: "tid"}
	aCancel = fprom.Cancellation{Email: "lead@example.com"}
)

func verdicts() []verdict {
	rows := []verdict{
		done("200 documented", fprom.Tracked, object(200, `{"id":45831949,"etype":"sale","event_id":"evt_1","commissions":[]}`)),
		done("200 with event_id null", fprom.Tracked, object(200, okBody)),
		done("201", fprom.Tracked, object(201, okBody)),
		done("200 of a vendor type", fprom.Tracked, typed(200, "application/vnd.api+json", okBody)),
		done("200 JSON as text/plain", fprom.Tracked, typed(200, "text/plain", okBody)),
		done("200 id beyond int64", fprom.Tracked, object(200, `{"id":99999999999999999999999,"event_id":"evt_1"}`)),
		done("200 fields of other types", fprom.Tracked, object(200, `{"id":"7","event_id":5,"commissions":"none","created_at":"yesterday"}`)),
		done("200 event_id in other case", fprom.Tracked, object(200, `{"id":7,"event_id":"EVT_1 "}`)),
		done("200 of a refund", fprom.Tracked, object(200, `{"id":7,"type":"refund","amount_cents":-1000}`)).of(aRefund),
		done("200 of a sign-up with an event_id", fprom.Tracked, object(200, `{"id":7,"etype":"signup","event_id":"x"}`)).of(aSignup),
		done("200 of a cancellation", fprom.Tracked, object(200, `{"id":7,"type":"cancellation","amount_cents":null}`)).of(aCancel),
		done("204", fprom.NotReferral, reply{status: 204}),
		done("204 of a refund", fprom.NotReferral, reply{status: 204}).of(aRefund),
		done("404 documented", fprom.NotReferral, object(404, notFound)),
		done("404 with another message", fprom.NotReferral, object(404, `{"message":"x","code":"not_found"}`)),
		done("404 without code", fprom.NotReferral, object(404, `{"message":"Referral corresponding to email or uid parameter not found."}`)),
		done("404 of a sign-up", fprom.NotReferral, object(404, `{"message":"Visitor  invalid, not found or not created by a promoter"}`)).of(aSignup),
		done("404 of a sale's visitor", fprom.NotReferral, object(404, `{"message":"Visitor  invalid, not found or not created by a promoter"}`)),
		done("409 documented", fprom.Duplicate, object(409, `{"message":"The 'sale' event with the id 'evt_1' already exists."}`)),
		done("409 in other words", fprom.Duplicate, object(409, `{"error":"conflict"}`)),
		done("422 of a second sign-up", fprom.Duplicate, object(422, `{"transaction_id":"there is already a signup event registered on this lead"}`)).of(aSignup),

		rejected("400 documented", object(400, `{"message":"Error. Amount blank or invalid."}`)),
		rejected("400 without message", object(400, `{}`)),
		rejected("422 of a sale", object(422, `{"transaction_id":"there is already a signup event registered on this lead"}`)),
		rejected("422 of a sign-up for another reason", object(422, `{"message":"email is invalid"}`)).of(aSignup),
		rejected("413 JSON", object(413, `{"message":"x"}`)),
		rejected("415 JSON", object(415, `{"message":"x"}`)),

		again("200 empty", object(200, "")),
		again("200 empty object", object(200, `{}`)),
		again("200 without id", object(200, `{"status":"ok"}`)),
		again("200 with id null", object(200, `{"id":null,"event_id":"evt_1"}`)),
		again("200 null", object(200, "null")),
		again("200 string", object(200, `"ok"`)),
		again("200 array", object(200, `[{"id":1}]`)),
		again("200 cut", object(200, `{"id":45831949,"etype":"sale","event_id":`)),
		again("200 two documents", object(200, `{"id":1}{"id":2}`)),
		again("200 of another event", object(200, `{"id":45831949,"event_id":"evt_2"}`)),
		again("200 without an id", object(200, `{"id":null,"etype":"sale"}`)),
		again("200 of another event, with a space", object(200, `{"id":45831949,"event_id": "evt_2"}`)),
		again("200 with an error", object(200, `{"success":false,"error":"x"}`)),
		again("200 page", page(200)),
		again("400 invalid UTF-8", object(400, "{\"message\":\"\xff\"}")),
		again("200 invalid UTF-8", object(200, "{\"id\":1,\"event_id\":\"\xff\"}")),
		again("200 too long", object(200, `{"id":1,"x":"`+strings.Repeat("x", 1<<20)+`"}`)),
		again("202", object(202, okBody)),
		again("206", object(206, okBody)),
		again("409 page", page(409)),
		done("409 about another id", fprom.Duplicate, object(409, `{"message":"The 'sale' event with the id 'evt_2' already exists."}`)),
		done("409 that names the id as HTML", fprom.Duplicate, object(409, `{"message":"The 'sale' event with the id 'evt&#95;1' already exists."}`)),
		again("409 empty", reply{status: 409}),
		again("409 cut", object(409, `{"message":"The 'sale' event with the id 'evt_1`)),
		again("400 page", page(400)),
		again("400 empty", object(400, "")),
		again("400 null", object(400, "null")),
		again("400 string", object(400, `"bad"`)),
		again("422 page", page(422)).of(aSignup),
		again("405 page", page(405)),
		again("407 page", page(407)),
		again("408", object(408, `{"message":"x"}`)),
		again("410 page", page(410)),
		again("414 empty", reply{status: 414}),
		again("421", object(421, `{"message":"x"}`)),
		again("425", object(425, `{"message":"x"}`)),
		again("426 empty", reply{status: 426}),
		again("451 page", page(451)),
		again("500 that says not_found", object(500, notFound)),
		again("500 page", page(500)),
		again("501", reply{status: 501}),
		again("502", page(502)),
		again("503", page(503)),
		again("503 with junk in Retry-After", reply{status: 503, header: header("Retry-After", "soon")}),
		again("504", page(504)),
		again("511", page(511)),
		again("527", page(527)),
		again("999", reply{status: 999}),
		again("reset", reply{err: errReset}),
		again("time-out", reply{hang: true}),
		again("200 broken off", reply{status: 200, stream: broken(`{"id":1,"event_id":"evt_1"`)}),
		again("404 broken off", reply{status: 404, stream: broken(notFound)}),
		again("409 broken off", reply{status: 409, stream: broken("")}),
		again("409 too long", object(409, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)),

		refused("401 empty", reply{status: 401}),
		refused("401 page", page(401)),
		refused("401 broken off", reply{status: 401, stream: broken("x")}),
		refused("401 too long", typed(401, "text/html", strings.Repeat("x", 1<<20))),
		suspected("403 empty", reply{status: 403}),
		suspected("403 JSON", object(403, `{"message":"x"}`)),

		suspected("404 page", page(404)),
		suspected("404 empty", reply{status: 404}),
		suspected("404 code inside a page", typed(404, "text/html", `<html>{"code":"not_found"}</html>`)),
		suspected("404 CODE", object(404, `{"CODE":"not_found"}`)),
		suspected("404 code in an array", object(404, `{"code":["not_found"]}`)),
		suspected("404 cut", object(404, `{"code":"not_found"`)),
		suspected("404 of the account", object(404, `{"code":"account_not_found","message":"Referral account"}`)),
		suspected("404 other JSON", object(404, `{"message":"no route"}`)),
		suspected("304", reply{status: 304}),
		suspected("300", page(300)),

		suspected("402 JSON", object(402, `{"message":"x"}`)),
		suspected("405 JSON", object(405, `{"message":"x"}`)),
		suspected("407 JSON", object(407, `{"message":"x"}`)),
		suspected("410 JSON", object(410, `{"message":"x"}`)),
		suspected("423 JSON", object(423, `{"message":"x"}`)),
		suspected("426 JSON", object(426, `{"message":"x"}`)),
		suspected("451 JSON", object(451, `{"message":"x"}`)),

		throttled("429", time.Minute, typed(429, "text/plain", "Retry later\n")),
		throttled("429 broken off", 5*time.Second, reply{status: 429, header: header("Retry-After", "5"), stream: broken("x")}),
		throttled("503 with Retry-After", 3*time.Second, reply{status: 503, header: header("Retry-After", "3")}).single(),
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"https://elsewhere.test/sale", "/other", "http://firstpromoter.test/api/v2/track/sale", ":not a URL"} {
			rows = append(rows, suspected(http.StatusText(status)+" to "+to, reply{status: status, header: header("Location", to)}))
		}
	}
	return rows
}
