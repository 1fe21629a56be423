// Package fpromtest is a fake FirstPromoter for the tests of programs that use package fprom, with the answers that
// FirstPromoter documents, a journal of everything that arrived, and faults to inject. Package
// fpromtest/queuetest holds the suites that every fprom.Queue must pass.
//
// A test that buys something and asserts on what reached FirstPromoter:
//
//	fake := fpromtest.NewServer(t)
//	fake.AddLead("jane@example.com")
//	tracker := fpromtest.NewTracker(t, fake) // logs to the test, and is shut down with it
//	buySomething(t, tracker)
//	if err := tracker.Flush(t.Context()); err != nil { … }
//	if got := fake.Commissions(); len(got) != 1 { … }
//
// # What the account knows
//
// A fresh Server has one promoter, whose referral id is DefaultRefID, and no leads, visitors or promo codes: a sale of
// somebody unknown is answered with 404, which is normal. AddLead, AddVisitor and AddPromoCode make the next sale a
// referral sale, WithAllLeads makes every sale one; AddPromoter adds promoters with leads of their own. Every sale earns
// 20 %; currencies are not converted.
//
// A sale whose tid, ref_id or promo code leads to nobody is sent again for an hour, and Flush waits for that. To avoid it,
// make the visitor known with AddVisitor, set fprom.Config.Retry.NotFound to an empty slice, or use a bubble's time.
//
// # Answers
//
// The Server follows the documentation (https://docs.firstpromoter.com, API reference v2, tracking) where it says something:
//
//	401, empty   the key is missing or wrong
//	429          more than WithRateLimit requests in 60 seconds; the ones answered with 429 do not count
//	400          neither email nor uid; event_id missing; amount not a positive integer (a refund's may be a string)
//	409          the event id was used for this kind before
//	404, JSON    no such lead, and neither tid, ref_id nor promo_code leads to a promoter; or the promoter is banned.
//	             A sign-up: no such visitor
//	422          a second sign-up of a lead
//	204          a refund to a lead without sales, or of a sale that the lead did not make
//	404, HTML    any other path or method
//
// Where it is silent the Server chooses: a right key with a missing or another Account-ID is a 403 (a 401 would be as good),
// addresses are compared without regard to case, a body that is not declared as JSON has no fields, a cancellation of an
// unknown lead is a 404 like a sale's, a 429 of the limit has no Retry-After, and the messages of the 400 for event_id and
// of the 403 are invented.
//
// # Company API
//
// The same state answers the reading calls of the Company API (…/company beside …/track): campaigns, commissions, referrals
// (all, or one by find_by), one promoter, and the daily report. Company says how it behaves where the documentation is
// silent: null event ids, pages that do not hold still, the time zone of a day and so on. AddPastSale, Lose, Double,
// Reprice and Deny make the books differ from what was tracked.
//
// # Faults
//
// Inject lets things go wrong, composed from a Fault and what narrows it:
//
//	fake.Inject(fpromtest.Status(500).Times(3))
//	fake.Inject(fpromtest.Status(429).RetryAfter("30").For(time.Minute))
//	fake.Inject(fpromtest.Reset().AfterProcessing().OnKind("sale").Chance(0.1))
//
// Faults act like a proxy in front of FirstPromoter: a request that one stops is in the journal, but does not count
// against the rate limit.
//
// # Time
//
// A Server made with InMemory opens no socket and is reached through Transport. Inside a testing/synctest bubble its
// rate limit, its journal, and hanging or slow answers follow the bubble's clock. An hour's outage that takes no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
//		fake.Inject(fpromtest.Hang().For(time.Hour))
//		tracker := fpromtest.NewTracker(t, fake)
//		err := tracker.Enqueue(t.Context(), sale)
//		…
//		err = tracker.Shutdown(t.Context()) // delivers what is queued
//		if n := len(fake.Commissions()); n != 1 { … }
//	})
package fpromtest
