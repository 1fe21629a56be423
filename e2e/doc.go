// Package e2e has nothing to import: its tests look at the status page in a real browser (Debian's Chromium).
//
//	make e2e
//
// They have the build tag e2e, since they need the browser, and the module is not in go.work.
package e2e
