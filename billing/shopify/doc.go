// Package shopify reports the payments of shops for a Shopify app to FirstPromoter. Shopify's webhooks about app subscriptions contain
// no amounts, and a recurring charge has no webhook. So a Poller reads the transactions from the Partner API:
//
//	poller, err := shopify.New(tracker, shopify.Config{Organization: "1234567", AccessToken: os.Getenv("SHOPIFY_PARTNER_TOKEN")})
//	…
//	go poller.Run(ctx) // ends with ctx
//
//	transaction                                   event     amount (before taxes)   event id
//	AppSubscriptionSale, AppUsageSale,            sale      grossAmount             the transaction's id, such as
//	  AppOneTimeSale                                                                  gid://partners/AppSubscriptionSale/1
//	AppSaleAdjustment, AppSaleCredit, that        refund    grossAmount, without    the transaction's id
//	  lower the payout (netAmount below zero)                 its sign
//
// Why: a transaction is one charge. Its chargeId belongs to the subscription and is the same every month, so it is no event id.
// grossAmount is what the merchant paid, without taxes. netAmount is Shopify's payout after its fee; only its sign is read. A refund
// does not name its sale, because its transaction does not name the charge.
//
//	field    read from
//	uid      the shop's myshopifyDomain, as in FirstPromoter's guide for Shopify apps; or the answer of billing.WithCustomer,
//	         asked with that domain
//	others   billing.WithCustomer
//
// # Who gets the commission
//
// Report a Signup when the app is installed. Shopify redirects the merchant's browser to your app. If your landing page and your app
// share a domain, that request carries the tracking cookie:
//
//	tracker.Enqueue(ctx, fprom.Signup{UID: shop, TID: fprom.AttributionFrom(r).TID})
//
// and a Cancellation with that uid in the handler of Shopify's webhook app/uninstalled.
//
// # Nothing is missed
//
// Every poll begins three days (Config.Window) before the last successful poll, and reports the oldest transaction first. A transaction
// that was reported before is recognized by its event id: in the ledger of a durable queue, otherwise at FirstPromoter. Set
// Config.Outbox: then the first poll of a process begins three days before the newest transaction in the outbox, so that nothing is
// missed however long the service was down. For three days after a longer break it begins before that break, because the poll that made up
// for it may have been cut off. Without Config.Outbox, call Poll once with an earlier time after a break of more than three days. If several
// replicas poll, each transaction is still one sale.
//
// Sources: shopify.dev/docs/api/partner (transactions, AppSubscriptionSale, AppSaleAdjustment, whose netAmount is "added to or deducted
// from your payout"). Not verified with a recorded response: that test charges have no transaction.
package shopify
