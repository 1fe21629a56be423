package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const maxAnswer = 4 << 20

// answer is the result of one call.
type answer struct {
	host        string // of the connection: the proxy, if there is one
	proxied     bool
	connected   atomic.Value // the address of the connection, a string; nil: none
	ready       bool         // the connection can be used: behind the proxy and the TLS handshake
	err         error        // why there is no answer
	status      int
	header      http.Header
	tls         *tls.ConnectionState
	body        []byte
	start, done time.Time
}

// get makes one call to the Company API. It follows no redirect: the account id would reach another host.
func (d *doctor) get(ctx context.Context, path string) *answer {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	a := &answer{start: time.Now()}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { a.ready = true },
		ConnectDone: func(_, addr string, err error) {
			if err == nil {
				a.connected.Store(addr)
			}
		},
	})
	a.err = d.roundTrip(ctx, a, path)
	a.done = time.Now()
	return a
}

func (d *doctor) roundTrip(ctx context.Context, a *answer, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.company+path, http.NoBody)
	if err != nil {
		return errors.New("the address cannot be called")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "fprom-go")
	if d.key != "" && d.account != "" {
		req.Header.Set("Account-Id", d.account)
		req.Header.Set("Authorization", "Bearer "+d.key)
	}
	a.host = req.URL.Host
	proxy, err := http.ProxyFromEnvironment(req)
	if a.proxied = err != nil || proxy != nil; err != nil {
		return errors.New("the address of the proxy in the environment is not a URL")
	}
	if proxy != nil {
		a.host = proxy.Host
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), ForceAttemptHTTP2: true, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.header, a.tls = resp.StatusCode, resp.Header, resp.TLS
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return err
}

// network says how far the call came. It reports whether there was an answer.
func (d *doctor) network(ctx context.Context, a *answer) bool {
	if a.proxied {
		d.ok("proxy", "the environment names the proxy %s (HTTPS_PROXY); the service must have the same", a.host)
	}
	name := (&url.URL{Host: a.host}).Hostname()
	if net.ParseIP(name) == nil && !d.dns(ctx, name) {
		return false
	}
	if problem, fix := d.tlsProblem(a, name); problem != "" {
		d.ok("connection", "connected to %s", a.connected.Load())
		d.fail("tls", exitUnreachable, fix, "%s", problem)
		return false
	}
	if a.err != nil {
		problem, fix := callProblem(a, d.timeout)
		d.fail("connection", exitUnreachable, fix, "%s", problem)
		return false
	}
	d.ok("connection", "connected to %s, answer after %s", a.connected.Load(), span(a.done.Sub(a.start)))
	d.certificate(a)
	return true
}

// dns reports whether the name is found.
func (d *doctor) dns(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, name)
	if err == nil {
		d.ok("dns", "%s has %d address%s", name, len(found), hint(len(found) != 1, "es"))
		return true
	}
	problem := "the name server cannot be asked"
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsTimeout {
		problem = "the name server does not answer"
	} else if ok && dns.IsNotFound {
		problem = "no such host"
	}
	d.fail("dns", exitUnreachable, "check the network, the spelling, and the resolver of this machine or container (/etc/resolv.conf)", "the name %s is not found: %s", name, problem)
	return false
}

func (d *doctor) certificate(a *answer) {
	if a.tls == nil || len(a.tls.PeerCertificates) == 0 {
		if strings.HasPrefix(d.company, "http:") {
			d.ok("tls", "none: plain http to this machine")
		}
		return
	}
	leaf := a.tls.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	issuer := strings.Join(leaf.Issuer.Organization, " ")
	if left < 7*24*time.Hour {
		d.warn("tls", "if the issuer is your own proxy, renew its certificate", "%s, the certificate ends in %s (issued by %q)", tls.VersionName(a.tls.Version), span(left), issuer)
		return
	}
	d.ok("tls", "%s, certificate issued by %q", tls.VersionName(a.tls.Version), issuer)
}

func (d *doctor) tlsProblem(a *answer, name string) (problem, fix string) {
	err := a.err
	if isLate(err) && a.connected.Load() != nil && !a.ready && !a.proxied {
		return "no TLS handshake within " + d.timeout.String(), "a firewall or proxy between holds it, or the port in $" + envURL + " is not one for TLS"
	}
	if _, is := errors.AsType[tls.RecordHeaderError](err); is || err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return "the other side does not speak TLS", "check the port in $" + envURL + ": is it one for plain http?"
	}
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return "the certificate is of an authority that is not known here", "install ca-certificates in the image; if a company's proxy opens TLS, add its certificate to the system's (or $SSL_CERT_FILE)"
	}
	if _, is := errors.AsType[x509.HostnameError](err); is {
		return "the certificate is not for " + name, "another site answers: check the address, the name server and proxies"
	}
	if bad, is := errors.AsType[x509.CertificateInvalidError](err); is {
		if bad.Reason == x509.Expired {
			return "the certificate is not valid at this time", "check the clock of this machine first (date); else the other side must renew it"
		}
		return "the certificate is not valid", "another site or a proxy answers: check the address and $HTTPS_PROXY"
	}
	if _, is := errors.AsType[tls.AlertError](err); is {
		return "the TLS handshake was refused: " + plain(err), "a proxy or an old TLS library stands between: TLS 1.2 or 1.3 is needed"
	}
	return "", ""
}

// isLate reports whether a call took too long.
func isLate(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout()
}

// callProblem says why a call got no answer.
func callProblem(a *answer, most time.Duration) (problem, fix string) {
	connected, late := a.connected.Load(), isLate(a.err)
	none := a.host + " cannot be reached: "
	if connected != nil {
		none = fmt.Sprintf("connected to %s, but no answer: ", connected)
	}
	switch {
	case isSystem(a.err, syscall.ECONNREFUSED):
		return none + "connection refused", "nothing listens there: check the address and the port in $" + envURL + ", and a proxy in $HTTPS_PROXY"
	case isSystem(a.err, syscall.ENETUNREACH), isSystem(a.err, syscall.EHOSTUNREACH):
		return none + "no route to it", "this machine has no way out: check its network, IPv6, and whether a proxy ($HTTPS_PROXY) is needed"
	case strings.Contains(a.err.Error(), "Proxy Authentication Required"):
		return none + "the proxy wants a password (407)", "put user and password into $HTTPS_PROXY: http://user:password@host:port"
	case late && connected != nil && !a.ready:
		return "the proxy " + a.host + " does not answer within " + most.String(), "ask who runs it, or name another one in $HTTPS_PROXY"
	case late && connected == nil:
		return none + "no connection within " + most.String(), "a firewall drops it: let this machine reach port 443 of that host, or set $HTTPS_PROXY"
	case late:
		return none + "none within " + most.String(), "FirstPromoter is slow, or a proxy holds the call: try again; events are kept meanwhile"
	case isSystem(a.err, syscall.ECONNRESET), errors.Is(a.err, io.EOF), errors.Is(a.err, io.ErrUnexpectedEOF):
		return none + "the connection was cut", "a proxy or firewall between cuts it: try again, then ask who runs it"
	default:
		return none + plain(a.err), "try again; if it stays, look at the network of this machine, proxies and firewalls"
	}
}

// plain is the text of a network error without the URL, which may contain credentials.
func plain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return clean(reason(err))
}

// jsonBody reports whether an answer begins as JSON does.
func jsonBody(b []byte, open byte) bool {
	b = bytes.TrimSpace(b)
	return len(b) > 0 && b[0] == open
}
