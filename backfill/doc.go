// Package backfill puts past sales from CSV or JSONL into an outbox. All live events are delivered before them.
//
//	result, err := backfill.Run(ctx, file, backfill.Options{
//		Format: backfill.Format{Amount: backfill.Minor}, Outbox: outbox, RejectsPath: "rejects.csv",
//	})
//
// FirstPromoter dates a sale at its delivery: version 2 of its API has no field for another date
// (https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/sale). Past sales count as today's.
//
// Nothing is guessed per row: an amount has the form that Format names, or the row is refused. Refused rows go to a file with
// the original columns, the line and the reason. Mend them there, and run that file.
//
// Memory does not grow with the file. Only a dry run keeps 30 bytes a row, to find rows that come twice; otherwise the
// outbox finds them.
//
// After an interruption, call Run again: the outbox knows every event id, and does not queue a row twice. So a row must have
// the event id that a live event of the same payment has.
package backfill
