package firstpromoter

import "errors"

var (
	// ErrUnreachable is wrapped by the error of a call that got no answer.
	ErrUnreachable = errors.New("FirstPromoter is not reachable; check the network, DNS and any proxy, and $FIRSTPROMOTER_API_URL if it is set")
	// ErrNotFirstPromoter is wrapped by the error of a call whose answer is not the Company API's.
	ErrNotFirstPromoter = errors.New("the answer is not from FirstPromoter's Company API; check the host and path of $FIRSTPROMOTER_API_URL, and any proxy or portal between")
	// ErrNotFound is wrapped by the error of a call for a record that FirstPromoter does not have.
	ErrNotFound = errors.New("FirstPromoter has no such record")
	// ErrV1 is wrapped by the error for an address of FirstPromoter's API v1.
	ErrV1 = errors.New("this is an address of FirstPromoter's API v1; v2 has the path /api/v2/track at the host api.firstpromoter.com")
)
