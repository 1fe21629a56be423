package shopify

// Provider is how an answer is converted, for the suite of package billingtest.
var Provider = provider
