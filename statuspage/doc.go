// Package statuspage shows on a page of your service whether commissions arrive: the waiting events, the dead letters, the
// outcomes of the last day, and in words what to do if something is wrong.
//
//	page, err := statuspage.Handler(tracker, statuspage.Options{Auth: isAdmin})
//	mux.Handle("/fprom/", page)                     // net/http, with or without http.StripPrefix
//	engine.Any("/fprom/*path", gin.WrapH(page))     // Gin
//
// Below its mount point the handler answers
//
//	GET  .             the page: one HTML answer; it loads nothing else, and works without JavaScript
//	POST .             redrives or drops dead letters, if Options.Writable
//	GET  status.json   the figures and problems of the page
//	GET  healthz       200 while the process answers
//	GET  readyz        503 if somebody must act, or events have waited for too long; else 200, also in an outage
//
// healthz and readyz are open to everybody, since a prober has no session. Only those whom Auth lets in see the reason. Use
// readyz for an alarm, not for a load balancer: the shop can sell while FirstPromoter does not answer.
//
// Customers are masked. The figures come from the outbox, so they survive restarts and count all replicas. With the queue in
// memory they are those of this process.
package statuspage
