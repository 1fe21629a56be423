// Package fpromtest is a fake FirstPromoter for tests of programs that use package fprom. It gives the answers that FirstPromoter
// documents, keeps a journal of all requests, and can inject faults. The suites that every fprom.Queue must pass are in package
// fpromtest/queuetest.
//
// A test that buys something and checks what reached FirstPromoter:
//
//	fake := fpromtest.NewServer(t)
//	fake.AddLead("jane@example.com")
//	tracker := fpromtest.NewTracker(t, fake) // logs to the test, and is shut down with it
//	buySomething(t, tracker)
//	if err := tracker.Flush(ctx); err != nil { … } // ctx has a deadline
//	if got := fake.Commissions(); len(got) != 1 { … }
//
// # What the account knows
//
// A new Server has one promoter, whose referral id is DefaultRefID, and no leads, visitors or promo codes. A sale of an unknown
// customer is answered with 404, which is normal. After AddLead, AddVisitor or AddPromoCode a sale is a referral sale; with
// WithAllLeads every sale is. AddPromoter adds promoters with their own leads. Every sale earns 20 %. Currencies are not converted.
//
// A Tracker repeats a sale for an hour if its tid, ref_id or promo code belongs to no promoter. Flush waits for that, unless its context
// has a deadline before the next time: then it returns fprom.ErrNotDue at once. To avoid it, call AddVisitor, set
// fprom.Config.Retry.NotFound to an empty slice, or use the time of a synctest bubble.
//
// # Answers
//
// The Server follows the documentation (https://docs.firstpromoter.com, API reference v2, tracking):
//
//	401, empty   the key is missing or wrong
//	429          more than WithRateLimit requests in 60 seconds; the ones answered with 429 do not count
//	400          neither email nor uid; event_id blank; amount not a positive integer (a refund's may be a string)
//	409          the event id is already used for this kind
//	404, JSON    no such lead, and neither tid, ref_id nor promo_code belongs to a promoter; or the promoter is banned.
//	             For a sign-up: no such visitor
//	422          a second sign-up of a lead
//	204          a refund to a lead without sales, or of a sale that the lead did not make
//	404, HTML    any other path or method
//
// Where the documentation is silent, the Server does this: a right key with a missing or wrong Account-ID is a 403. Addresses are
// compared without regard to case. A body that is not declared as JSON has no fields. A cancellation of an unknown lead is a 404,
// like a sale. A member whose name has another case than the documented one is ignored. The 429 of the rate limit has no
// Retry-After. The message of the 400 for event_id is invented.
//
// # Company API
//
// The Server also answers the GET calls of the Company API (…/company beside …/track): campaigns, commissions, referrals (all, or one
// by find_by), one promoter, and the daily report. It has no other endpoint of that API: the answer is the HTML 404, and NewServer names the
// call in the test's log. It answers 422 to a query parameter or a find_by that it does not know, also to a documented one: a list that
// ignores it would not be what was asked for. Type Company sets its behaviour where the documentation is silent: null event ids,
// pages that change between calls, the time zone of a day and so on. AddPastSale, Lose, Double, Reprice and Deny make the books
// differ from what was tracked.
//
// # Faults
//
// Inject injects a Fault. Methods of the Fault select the requests that meet it:
//
//	fake.Inject(fpromtest.Status(500).Times(3))
//	fake.Inject(fpromtest.Status(429).RetryAfter("30").For(time.Minute))
//	fake.Inject(fpromtest.Reset().AfterProcessing().OnKind("sale").Chance(0.1))
//
// A Fault acts like a proxy in front of FirstPromoter: a request that it stops is in the journal, but does not count against the
// rate limit.
//
// # Time
//
// A Server made with InMemory opens no socket and is reached through Transport. In a testing/synctest bubble its rate limit, its
// journal and slow answers use the bubble's clock. An outage of an hour that takes no real time:
//
//	synctest.Test(t, func(t *testing.T) {
//		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
//		fake.Inject(fpromtest.Hang().For(time.Hour))
//		tracker := fpromtest.NewTracker(t, fake)
//		err := tracker.Enqueue(t.Context(), sale)
//		…
//		err = tracker.Shutdown(t.Context()) // delivers the queued events
//		if n := len(fake.Commissions()); n != 1 { … }
//	})
package fpromtest
