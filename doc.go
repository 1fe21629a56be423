// Package fprom reports sales to FirstPromoter, so that the promoter who brought a customer is paid.
//
// A billing service wraps its checkout or webhook handler with the Middleware of nethttpadapter or ginadapter, and says
// in the handler what was sold:
//
//	tracker, err := fprom.New(fprom.Config{}) // $FIRSTPROMOTER_API_KEY, $FIRSTPROMOTER_ACCOUNT_ID
//	…
//	mux.Handle("POST /checkout", nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout)))
//
//	func checkout(w http.ResponseWriter, r *http.Request) {
//		charge := … // the money is confirmed
//		err := fprom.Record(r.Context(), fprom.Sale{
//			EventID: charge.ID, Email: charge.Email, Amount: 1999, Currency: "USD", // $19.99, before tax
//		})
//		…
//	}
//
// If the handler succeeds, the Tracker stores the event in its queue before the response leaves. It delivers the event
// in the background, under the account's rate limit and through a circuit breaker, and sends it again until FirstPromoter
// has answered. Outside of a handler call [Tracker.Enqueue], or [Tracker.Track] for one attempt now. Call
// [Tracker.Shutdown] before the process ends: it delivers the queued events.
//
// In development there are no credentials: then New's error is [ErrNoCredentials], and a nil *Tracker drops everything.
//
// # Who uses what
//
// Applications use [New], [Config], [Tracker], the events ([Sale], [Refund], [Signup], [Cancellation]), [Record] and
// [AttributionFrom]. Operators use [Outbox], which every durable queue is. [Hook] is for writing adapters. [Queue], [Message]
// and the functions that classify an error ([IsPermanent], [IsHeld], [IsSetAside], [RetryDelay]) are for writing queues.
//
// The middleware is in nethttpadapter and ginadapter, and in the modules echoadapter, echov5adapter and fiberadapter. Package
// boltqueue is a queue that outlives the process; module riverqueue is one for several replicas. Packages billing/… turn the
// providers' webhooks into events. Packages statuspage, reconcile and backfill are for operators. Package fpromtest is a fake
// FirstPromoter for your tests.
//
// # What is promised
//
// The checkout comes first: no call to FirstPromoter happens in the request, and no panic or error of fprom reaches it.
// No commission is lost: an event that Enqueue accepted is delivered, or shown as undelivered. A durable queue keeps that promise
// over every crash. No commission is paid twice: FirstPromoter takes an event id once. On the wire delivery is
// at-least-once, and the id makes it idempotent.
//
// # What each answer means
//
//	answer                                           outcome      breaker  event
//	200 with FirstPromoter's JSON object             Tracked      success  done
//	200 with anything else                           –            failure  again, with backoff
//	404 with FirstPromoter's JSON; 204 on a refund   NotReferral  success  done; a sale with a referral is sent again first
//	204 on a sale                                    NotReferral  success  sent again, then done
//	409 with JSON; 422 on a sign-up that exists      Duplicate    success  done
//	400, 413, 415, 422 with JSON                     Rejected     –        dead letter
//	401                                              –            –        kept; all delivery pauses and probes
//	403; 404 otherwise; 3xx; other 4xx with JSON     –            –        waits alone; three events in a row pause the account
//	503 with Retry-After                             –            –        the same; each wait is at least Retry-After
//	429                                              –            –        kept; all delivery pauses for Retry-After, else 60 s
//	408, 421, 425, 5xx; time-out, reset, DNS, TLS;   –            failure  again, with backoff
//	other 4xx without JSON
//
// "With JSON" means a JSON object, as FirstPromoter sends it; an answer without one comes from a proxy. A sale that is no
// referral is sent again by RetryConfig.NotFound, since its sign-up may be on its way; so is a refund whose sale a durable
// queue does not know to be done. An event that fails or is refused while others succeed waits longer and longer, up to an
// hour. After an hour the later events of its customer no longer wait for it, unless it is a sign-up of the last week. After
// a day it is a dead letter. A restart begins these hours anew. If only one event gets 401, its first 401 pauses all
// delivery; the next ones do not.
//
// The answers are those of https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api.
package fprom
