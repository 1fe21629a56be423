// Package reconcile compares what we sent with what FirstPromoter has, and says which commissions are missing.
//
//	report, err := reconcile.Run(ctx, reconcile.Options{Client: client, Outbox: outbox, From: monday, To: sunday})
//
// What was sent is in an outbox. Without an outbox Run reads a file of sales (File), so it also finds what an old integration
// lost. It works in two stages: first it reads the totals of the days in one call, then the commissions of the days that differ,
// a hundred a call. Options.Full reads the commissions of all days.
//
// # Verdicts
//
//	matched         FirstPromoter has a commission with the right amount
//	no commission   FirstPromoter's answer had none: the reward is used up, the plan is excluded. This is normal
//	missing         the answer had commissions, FirstPromoter has none or not all of them now
//	foreign         a commission whose event id is not ours: a native connection, an old integration
//	amount differs  the commission is for another amount or currency
//	doubled         the same commission twice
//
// A file of sales has no answers. There a sale is missing if its customer is a referral, or the sale names who brought the customer,
// and FirstPromoter has no commission for it, unless FirstPromoter's total of the day shows that all sales of the day arrived.
//
// # What is not known
//
// FirstPromoter documents neither the time zone of a day nor the number and the order of rows, and an event id may be null. So
// Run compares days in the zone in which they agree best, and reads one day more on both sides. It finds commissions by the ids
// in the answer first, and searches for each event that seems to be missing.
//
// Days whose totals agree are taken as right unless Options.Full is set. The totals are the number of sales and, if all sales are
// in the account's currency, their sum. So a missing sale and a doubled sale of the same amount on one day hide each other. With
// several currencies the amounts may even differ. Nor does a deleted commission show, if its sale stays.
package reconcile
