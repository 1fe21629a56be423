// Package reconcile compares what we sent with what FirstPromoter has, and says which commissions are missing.
//
//	report, err := reconcile.Run(ctx, reconcile.Options{Client: client, Outbox: outbox, From: monday, To: sunday})
//
// It reads an outbox. Without one it reads a file of sales (File), so it also finds what an old integration lost. It works in
// two stages: first it reads the totals of the days, in one call, then the commissions of the days that differ, a hundred a
// call. Options.Full reads the commissions of all days.
//
// # Verdicts
//
//	matched         FirstPromoter has a commission with the right amount
//	no commission   FirstPromoter's answer had none: a used-up reward, an excluded plan. Normal
//	missing         the answer had commissions, FirstPromoter has none
//	foreign         a commission whose event id is not ours: a native connection, an old integration
//	amount differs  the commission is for another amount or currency
//	doubled         the same commission twice
//
// A file of sales knows no answers: there a sale is missing if its customer is a referral and FirstPromoter has no
// commission for it, unless FirstPromoter's totals of the day say that all of the day's sales arrived.
//
// # What is not known
//
// FirstPromoter documents neither the time zone of a day, nor a total of rows, nor their order, and an event id may be
// null. So days are compared in the zone in which they agree best, the edges of a range are read a day further, rows are
// found by the commission ids of the answer first, and what seems to be missing is asked for by name before it is called so.
//
// Days whose totals agree are taken as right unless Options.Full is set. The totals are the number of sales and, if all are in
// the account's currency, their sum. So a missing and a doubled sale of the same amount on one day hide each other. Where
// currencies are mixed, their amounts need not even be the same.
package reconcile
