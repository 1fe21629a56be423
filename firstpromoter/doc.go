// Package firstpromoter reads FirstPromoter's Company API, version 2: campaigns, commissions, referrals, promoters and
// the daily totals. The command fprom doctor and package reconcile use it. It changes nothing at FirstPromoter.
//
//	client, err := firstpromoter.New(firstpromoter.Config{}) // the credentials of the environment, as fprom.New
//	for c, err := range client.Commissions(ctx, firstpromoter.CommissionQuery{From: monday, To: sunday}) {
//		…
//	}
//
// Every call counts against the account's 400 a minute, which tracking needs as well
// (https://docs.firstpromoter.com/api-reference-v2/api-admin/introduction). So a Client makes at most 60 calls a minute,
// unless Config.Rate says otherwise.
//
// FirstPromoter's answers contain promoters' credentials. A Client decodes only the fields of the types below. It does not
// keep, log or quote an answer.
//
// # Errors
//
//	errors.Is(err, fprom.ErrUnauthorized)  401, 403: the key or the account id
//	errors.Is(err, ErrUnreachable)         no answer: DNS, connection, TLS, time-out
//	errors.Is(err, ErrNotFirstPromoter)    the answer is not FirstPromoter's: HTML, a redirect, a 404 without JSON
//	errors.Is(err, ErrNotFound)            FirstPromoter has no such record
//	errors.As(err, *fprom.APIError)        any other answer with an error status
package firstpromoter
