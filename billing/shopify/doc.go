// Package shopify reports what shops pay for a Shopify app to FirstPromoter. Shopify's webhooks about app subscriptions carry no
// amounts, and none comes for a recurring charge. So a Poller asks the Partner API for the transactions instead:
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
// Why: a transaction is one charge. Its chargeId is that of the subscription, the same every month, and so not an event id.
// grossAmount is what the merchant paid, without taxes; netAmount is what Shopify pays out, less its fee, and is read for its sign
// only. A refund does not name its sale, since a transaction does not say which one it takes back.
//
//	field    read from
//	uid      the shop's myshopifyDomain, as FirstPromoter's guide for Shopify apps has it; or what billing.WithCustomer
//	         says, asked with that domain
//	others   billing.WithCustomer
//
// # Who gets the commission
//
// Report a Signup when the app is installed: the request that Shopify sends the merchant to your app with comes from the
// merchant's browser, and carries the tracking cookie, if your landing page and your app share a domain:
//
//	tracker.Enqueue(ctx, fprom.Signup{UID: shop, TID: fprom.AttributionFrom(r).TID})
//
// and a Cancellation with that uid in the handler of Shopify's webhook app/uninstalled.
//
// # Nothing is missed
//
// Every poll reads the transactions since three days (Config.Window) before the last poll that succeeded, and sends the oldest
// first. What was reported before is recognized by its event id: with a durable queue in its ledger, otherwise at
// FirstPromoter. Give Config.Outbox: then the first poll of a process begins three days before the newest transaction in
// the outbox, and a service misses nothing however long it was down. Without it, call Poll once with an earlier moment
// after more than three days. If several replicas poll, each transaction is still one sale.
//
// Sources: shopify.dev/docs/api/partner (transactions, AppSubscriptionSale, AppSaleAdjustment). Not verified against a recorded
// answer: the sign of an adjustment's netAmount, and that test charges have no transaction.
package shopify
