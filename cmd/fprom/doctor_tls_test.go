package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// site is a server with a certificate for 127.0.0.1 that ends at a time, and the file that makes it trusted.
func site(t *testing.T, ends time.Time) (address, trust string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: ends.Add(-1000 * time.Hour), NotAfter: ends, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(status(http.StatusOK, nil, `[{"id":1,"ref_token_param":"fpr","visitor_cookie_life":60}]`))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	trust = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL + "/api/v2/track", trust
}

func TestDoctorNamesWhatIsWrongWithTLS(t *testing.T) {
	t.Parallel()
	good, trust := site(t, time.Now().Add(1000*time.Hour))
	expired, trustExpired := site(t, time.Now().Add(-time.Hour))
	ending, trustEnding := site(t, time.Now().Add(50*time.Hour))
	plain := strings.Replace(answering(t, status(http.StatusOK, nil, "[]")), "http:", "https:", 1)
	for _, c := range []struct {
		name, address, trust string
		exit                 int
		says                 string // empty: all is well
	}{
		{"good", good, trust, 0, ""},
		{"unknown authority", good, "", 5, `authority that is not known.*ca-certificates`},
		{"another name", strings.Replace(good, "127.0.0.1", "localhost", 1), trust, 5, `not for localhost`},
		{"expired", expired, trustExpired, 5, `not valid at this time.*clock`},
		{"ends soon", ending, trustEnding, 0, `ends in 2 days`},
		{"no TLS", plain, "", 5, `does not speak TLS`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := account(fpromtest.NewServer(t)).with(env{"FIRSTPROMOTER_API_URL": c.address, "SSL_CERT_FILE": c.trust, "SSL_CERT_DIR": "/nowhere"})
			r := fprom(t, e, "doctor", "-o", "json").want(t, c.exit)
			if c.says != "" {
				r.names(t, "tls", c.says)
			}
		})
	}
}
