package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

const maxAnswer = 4 << 20

// answer is the result of one call, step by step.
type answer struct {
	host        string // of the connection: the proxy, if there is one
	proxied     bool
	lookup      error  // of DNS
	addresses   int    // from DNS
	connected   string // the address of the connection
	connectErr  error
	tls         *tls.ConnectionState
	err         error // why there is no answer
	status      int
	header      http.Header
	body        []byte
	start, done time.Time
}

// get makes one call to the Company API. It follows no redirect: the account id would reach another host.
func (d *doctor) get(ctx context.Context, path string) *answer {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	a := &answer{start: time.Now()}
	var mu sync.Mutex // two addresses may be tried at once
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) { mu.Lock(); a.lookup, a.addresses = i.Err, len(i.Addrs); mu.Unlock() },
		ConnectDone: func(_, addr string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				a.connected = addr
			} else {
				a.connectErr = err
			}
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				a.tls = &s
			}
		},
	})
	status, header, body, err := d.roundTrip(ctx, a, path)
	mu.Lock()
	defer mu.Unlock()
	a.done, a.status, a.header, a.body, a.err = time.Now(), status, header, body, err
	return a
}

func (d *doctor) roundTrip(ctx context.Context, a *answer, path string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.company+path, http.NoBody)
	if err != nil {
		return 0, nil, nil, errors.New("the address cannot be called")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "fprom-go")
	if d.key != "" && d.account != "" {
		req.Header.Set("Account-Id", d.account)
		req.Header.Set("Authorization", "Bearer "+d.key)
	}
	a.host = req.URL.Host
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		a.proxied = true
		return 0, nil, nil, errors.New("the address of the proxy in the environment is not a URL")
	}
	if proxy != nil {
		a.host, a.proxied = proxy.Host, true
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), ForceAttemptHTTP2: true, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, resp.Header, body, err
}

// network says how far the call came. It reports whether there was an answer.
func (d *doctor) network(a *answer) bool {
	if a.proxied {
		d.ok("proxy", "the environment names the proxy %s (HTTPS_PROXY); the service must have the same", a.host)
	}
	name, _, err := net.SplitHostPort(a.host)
	if err != nil {
		name = a.host
	}
	switch {
	case a.lookup != nil:
		d.fail("dns", exitUnreachable, "check the network, the spelling, and the resolver of this machine or container (/etc/resolv.conf)", "the name %s is not found: %s", name, dnsProblem(a.lookup))
		return false
	case net.ParseIP(name) == nil && a.addresses > 0:
		d.ok("dns", "%s has %d address%s", name, a.addresses, hint(a.addresses != 1, "es"))
	}
	if a.connected == "" {
		problem, fix := connectProblem(cmp.Or(a.connectErr, a.err, errors.New("no reason is known")), d.timeout)
		d.fail("connection", exitUnreachable, fix, "%s cannot be reached: %s", a.host, problem)
		return false
	}
	if problem, fix := tlsProblem(a.err, name); problem != "" {
		d.ok("connection", "connected to %s", a.connected)
		d.fail("tls", exitUnreachable, fix, "%s", problem)
		return false
	}
	if a.err != nil {
		problem, fix := answerProblem(a.err, d.timeout)
		d.fail("connection", exitUnreachable, fix, "connected to %s, but no answer: %s", a.connected, problem)
		return false
	}
	d.ok("connection", "connected to %s, answer after %s", a.connected, span(a.done.Sub(a.start)))
	d.certificate(a)
	return true
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

func dnsProblem(err error) string {
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && dns.IsTimeout:
		return "the name server does not answer"
	case ok && dns.IsNotFound:
		return "no such host"
	default:
		return "the name server cannot be asked"
	}
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout()
}

func connectProblem(err error, most time.Duration) (problem, fix string) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "nothing listens there: check the address and the port in $" + envURL + ", and a proxy in $HTTPS_PROXY"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to it", "this machine has no way out: check its network, IPv6, and whether a proxy ($HTTPS_PROXY) is needed"
	case isTimeout(err):
		return "no connection within " + most.String(), "a firewall drops it: let this machine reach port 443 of that host, or set $HTTPS_PROXY"
	default:
		return plain(err), "check the network of this machine"
	}
}

func tlsProblem(err error, name string) (problem, fix string) {
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

func answerProblem(err error, most time.Duration) (problem, fix string) {
	switch {
	case strings.Contains(err.Error(), "Proxy Authentication Required"):
		return "the proxy wants a password (407)", "put user and password into $HTTPS_PROXY: http://user:password@host:port"
	case isTimeout(err):
		return "none within " + most.String(), "FirstPromoter is slow, or a proxy holds the call: try again; events are kept meanwhile"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was cut", "a proxy or firewall between cuts it: try again, then ask who runs it"
	default:
		return plain(err), "try again; if it stays, look at proxies and firewalls between"
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
