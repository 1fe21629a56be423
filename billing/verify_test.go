package billing_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/billing"
)

// header makes a header of names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestVerifiers(t *testing.T) {
	t.Parallel()
	body := []byte(`{"test": 2432232314}`)
	// The example of Standard Webhooks' specification.
	const standard, signature = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	stamped := func(signature string) http.Header {
		return header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", signature)
	}
	// printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac secret
	const inHex, inBase64 = "c4be5c092d907fa240f2da524c1fd82913705379274d113cacd5ec3a667ad4d4", "xL5cCS2Qf6JA8tpSTB/YKRNwU3knTRE8rNXsOmZ61NQ="
	hexed, based := billing.HMACSHA256("X-Sign", hex.DecodeString), billing.HMACSHA256("X-Sign", base64.StdEncoding.DecodeString)
	shared := billing.SharedSecret("X-Token")
	joined := billing.Stamped{Header: "X-Sign", Separator: ",", Stamp: "t", Signature: "v1", Joint: "."}.Verify
	for _, tt := range []struct {
		name   string
		verify billing.Verifier
		h      http.Header
		secret string
		ok     bool
	}{
		{"standard webhooks", billing.StandardWebhooks, stamped(signature), standard, true},
		{"without prefix", billing.StandardWebhooks, stamped(signature), standard[len("whsec_"):], true},
		{"second signature", billing.StandardWebhooks, stamped("v1,AAAA v1a,AAAA " + signature), standard, true},
		{"another version", billing.StandardWebhooks, stamped("v2" + signature[2:]), standard, false},
		{"unpadded", billing.StandardWebhooks, stamped(signature[:len(signature)-1]), standard, false},
		{"wrong", billing.StandardWebhooks, stamped(signature), "whsec_AAAA", false},
		{"not base64", billing.StandardWebhooks, stamped(signature), "secret!", false},
		{"text of the same secret", billing.StandardWebhooksText, stamped(signature), standard, false},
		{"nothing", billing.StandardWebhooks, http.Header{}, standard, false},
		{"hex", hexed, header("X-Sign", inHex), "secret", true},
		{"white space", hexed, header("X-Sign", " "+inHex+" "), "secret", true},
		{"base64 for hex", hexed, header("X-Sign", inBase64), "secret", false},
		{"base64", based, header("X-Sign", inBase64), "secret", true},
		{"hex for base64", based, header("X-Sign", inHex), "secret", false},
		{"wrong", based, header("X-Sign", inBase64), "secret2", false},
		{"hex and more", hexed, header("X-Sign", inHex+"zz"), "secret", false},
		{"base64 and more", based, header("X-Sign", inBase64+"!"), "secret", false},
		{"a second signature and more", billing.StandardWebhooks, stamped(signature + "!"), standard, false},
		{"stamped", joined, header("X-Sign", "t=1,v1=4d278fab6d924b41f7c173ed6b8b11f8838c5b13810bda6a0d2a74a2d23b3780"), "secret", true},
		{"stamped and more", joined, header("X-Sign", "t=1,v1=4d278fab6d924b41f7c173ed6b8b11f8838c5b13810bda6a0d2a74a2d23b3780zz"), "secret", false},
		{"stamped with a word", joined, header("X-Sign", "t=one,v1=b8818fa340b6f4e0e5b042518c5b6802b7b963f3b4321361ab84d548c779cebb"), "secret", false},
		{"shared", shared, header("X-Token", "secret"), "secret", true},
		{"a part", shared, header("X-Token", "secre"), "secret", false},
		{"none", shared, http.Header{}, "secret", false},
		{"basic", billing.BasicAuth, header("Authorization", "Basic dXNlcjpwYTpzcw=="), "user:pa:ss", true},
		{"other password", billing.BasicAuth, header("Authorization", "Basic dXNlcjpwYTpzcw=="), "user:pass", false},
		{"user alone", billing.BasicAuth, header("Authorization", "Basic dXNlcjo="), "user", true},
		{"another user alone", billing.BasicAuth, header("Authorization", "Basic b3RoZXI6"), "user", false},
		{"user alone, password sent", billing.BasicAuth, header("Authorization", "Basic dXNlcjpwYTpzcw=="), "user", false},
		{"no password", billing.BasicAuth, http.Header{}, ":", false},
		{"neither user nor password", billing.BasicAuth, header("Authorization", "Basic Og=="), ":", false},
		{"not basic", billing.BasicAuth, header("Authorization", "user:pa:ss"), "user:pa:ss", false},
	} {
		v := billing.Provider{Name: "test", Verify: tt.verify}
		err := v.Check(tt.h, body, tt.secret, billing.WithTolerance(0))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
			t.Errorf("%s: %v, want success %t", tt.name, err, tt.ok)
		}
	}
}

// A secret that is not base64 is said, and no part of it becomes the key.
func TestSecretNotBase64(t *testing.T) {
	t.Parallel()
	v := billing.Provider{Name: "test", Verify: billing.StandardWebhooks}
	err := v.Check(header("webhook-signature", "v1,AAAA"), []byte("{}"), "whsec_AAAA!")
	if !errors.Is(err, billing.ErrSignature) || !strings.Contains(err.Error(), "is not base64") {
		t.Errorf("%v", err)
	}
}

// A stale or future time stamp is refused, also with a right signature.
func TestVerifierTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
		v := billing.Provider{Name: "test", Verify: billing.StandardWebhooks}
		check := func() error {
			return v.Check(h, []byte(`{"test": 2432232314}`), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		}
		signed := time.Unix(1614265330, 0)
		for _, tt := range []struct {
			at time.Time
			ok bool
		}{
			{signed.Add(-5*time.Minute - time.Second), false},
			{signed.Add(-5 * time.Minute), true},
			{signed, true},
			{signed.Add(5 * time.Minute), true},
			{signed.Add(5*time.Minute + time.Second), false},
		} {
			time.Sleep(time.Until(tt.at))
			if err := check(); (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
				t.Errorf("at %v: %v, want success %t", tt.at.Sub(signed), err, tt.ok)
			}
		}
	})
}

// A time stamp that is no time is refused, however old a webhook may be.
func TestCheckTime(t *testing.T) {
	t.Parallel()
	for stamp, ok := range map[string]bool{"0": true, "1614265330": true, "1099511627776": true, "1099511627777": false, "-1": false, "": false, "now": false, "1.5": false} {
		if err := (billing.Delivery{}).CheckTime(stamp); (err == nil) != ok || err != nil && !errors.Is(err, billing.ErrSignature) {
			t.Errorf("%q: %v, want success %t", stamp, err, ok)
		}
	}
}

func TestMatchHMACNeedsKey(t *testing.T) {
	t.Parallel()
	sum := []byte("\xb6\x13\x67\x9a\x08\x14\xd9\xec\x77\x2f\x95\xd7\x78\xc3\x5f\xc5\xff\x16\x97\xc4\x93\x71\x56\x53\xc6\xc7\x12\x14\x42\x92\xc5\xad") // HMAC-SHA256 of nothing under the empty key
	if (billing.Delivery{Secrets: []string{""}}).MatchHMAC([][]byte{sum}) {
		t.Error("the empty key signs")
	}
	d := billing.Delivery{Secrets: []string{"k"}}
	if d.MatchHMAC(nil) || d.MatchHMAC([][]byte{{}}) {
		t.Error("no signature matches")
	}
}
