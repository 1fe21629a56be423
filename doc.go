// Package fprom reports sales to FirstPromoter, so that the promoter who brought a customer is paid.
//
// A billing service wraps its checkout or webhook handler with the Middleware of nethttpadapter or ginadapter and says
// in the handler what was sold:
//
//	tracker, err := fprom.New(fprom.Config{}) // $FIRSTPROMOTER_API_KEY, $FIRSTPROMOTER_ACCOUNT_ID
//	…
//	mux.Handle("POST /checkout", nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout)))
//
//	func checkout(w http.ResponseWriter, r *http.Request) {
//		charge := …                         // the money is confirmed
//		err := fprom.Record(r.Context(), fprom.Sale{
//			EventID: charge.ID, Email: charge.Email, Amount: 1999, Currency: "USD",
//		})
//		…
//	}
//
// If the handler succeeds, the event is stored in the Tracker's queue before the response leaves, and delivered in the
// background: under the account's rate limit, through a circuit breaker, once per event id, again until FirstPromoter
// has answered. Without a handler, call [Tracker.Enqueue], or [Tracker.Track] for one attempt now. Before the process
// ends, [Tracker.Shutdown] delivers what is queued. In development without credentials, give the middleware a nil
// *Tracker: it drops everything.
//
// The packages below: nethttpadapter and ginadapter are the middleware; boltqueue is a queue that outlives the process,
// module riverqueue one for several replicas; billing/… turn the providers' webhooks into events; fpromtest is a fake
// FirstPromoter for tests.
//
// # What is promised
//
// The checkout comes first: no call to FirstPromoter in the request, and no panic or error of fprom's in it. No
// commission is lost: what Enqueue accepted is delivered, or shown as undelivered; with a durable queue (boltqueue,
// riverqueue) over every crash. No commission is paid twice: events have ids, and FirstPromoter takes an id once; on
// the wire delivery is at-least-once, and the id makes it idempotent.
//
// # What each answer means
//
//	answer                                        outcome      breaker  queue
//	200 with FirstPromoter's JSON object          Tracked      success  done
//	200 with anything else, another event's id    –            failure  again
//	204; 404 with FirstPromoter's JSON body       NotReferral  success  done; with a referral, asked again (RetryConfig.NotFound)
//	404 without it; any 3xx                       –            failure  kept; all delivery pauses and probes
//	409; 422 on a sign-up that exists             Duplicate    success  done
//	400 and other 4xx with a JSON object          Rejected     –        dead letter
//	400 and other 4xx without one (a proxy's)     –            failure  again, with backoff
//	401, 403                                      –            –        kept; all delivery pauses and probes (ErrUnauthorized)
//	429; 503 with Retry-After                     –            –        kept; all delivery pauses for Retry-After, else 60 s
//	407, 408, 421, 425, 5xx; time-out, reset,     –            failure  again, with backoff
//	DNS, TLS; 409 that names another event's id
//
// The answers are those of https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api.
package fprom
