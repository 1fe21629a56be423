// Package statuspage shows on a page of your service whether commissions arrive: what waits, what was given up, what
// became of the events of the last day, and in words what to do if something is wrong.
//
//	page, err := statuspage.Handler(tracker, statuspage.Options{Auth: isAdmin})
//	mux.Handle("/fprom/", page)                     // net/http, with or without http.StripPrefix
//	engine.Any("/fprom/*path", gin.WrapH(page))     // Gin
//
// Below the place where it is mounted it answers
//
//	GET  .             the page: one HTML answer, nothing else is loaded, it works without JavaScript
//	POST .             redrive or drop dead letters, if Options.Writable
//	GET  status.json   the same in figures
//	GET  healthz       200 while the process answers
//	GET  readyz        200 while events can be stored and sent, else 503
//
// healthz and readyz are open to everybody, since a prober has no session. To those whom Auth refuses they say yes or no
// and nothing else. Use readyz for an alarm, not for a load balancer: the shop can sell while FirstPromoter does not answer.
//
// Customers are masked. The state is that of the outbox, so it survives restarts and counts all replicas; with the queue
// in memory the page shows what this process knows.
package statuspage
