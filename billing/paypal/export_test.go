package paypal

// FetchCertificate is the default way to fetch: with it the test can use a server of its own.
var FetchCertificate = fetchCertificate
