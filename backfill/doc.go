// Package backfill brings past sales into an outbox: from CSV or JSONL, as a stream, behind all live events.
//
//	result, err := backfill.Run(ctx, file, backfill.Options{
//		Format: backfill.Format{Amount: backfill.Minor}, Outbox: outbox, RejectsPath: "rejects.csv",
//	})
//
// FirstPromoter dates a sale at its delivery: version 2 of its API has no field for another date
// (https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/sale). Past sales count as today's.
//
// Nothing is guessed per row: an amount is read as Format says or the row is refused. Refused rows go to a file with the
// original columns, the line and the reason, ready to be mended and run again.
//
// Memory does not grow with the file. Only a dry run keeps 30 bytes a row, to find rows that come twice; otherwise the
// outbox finds them.
//
// After an interruption run it again: the outbox knows every event id, and does not queue a row that it has. So a row's
// event id must be the one that live events of the same payment have.
package backfill
