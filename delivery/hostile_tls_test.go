package delivery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

// certificate answers one for 127.0.0.1 (or another name), from a day before until
// then, and signed by itself.
func certificate(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}

func TestATargetWhoseTLSIsWrongIsOneCleanFailedAttempt(t *testing.T) {
	tomorrow := time.Now().Add(24 * time.Hour)
	for _, c := range []struct {
		name    string
		cert    tls.Certificate
		trusted bool
		change  func(*tls.Config)
		want    string
	}{
		{"all is well", certificate(t, "127.0.0.1", tomorrow), true, nil, classNone},
		{"expired", certificate(t, "127.0.0.1", time.Now().Add(-time.Hour)), true, nil, classTLS},
		{"wrong host", certificate(t, "hooks.example", tomorrow), true, nil, classTLS},
		{"self-signed", certificate(t, "127.0.0.1", tomorrow), false, nil, classTLS},
		{"TLS 1.1", certificate(t, "127.0.0.1", tomorrow), true, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, classTLS},
		{"wants a certificate", certificate(t, "127.0.0.1", tomorrow), true, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, classTLS},
	} {
		server := httptest.NewUnstartedServer(status(200))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}}
		if c.change != nil {
			c.change(server.TLS)
		}
		server.StartTLS()
		roots := x509.NewCertPool()
		if c.trusted {
			roots.AddCert(c.cert.Leaf)
		}
		s := testSender(t, func(o *Options) { o.TLS = &tls.Config{RootCAs: roots} })
		a := s.send(t.Context(), testDelivery(server.URL))
		if (a.outcome == Delivered) != (c.want == classNone) || a.class != c.want {
			t.Errorf("%s: %s %q (%v), want %q", c.name, a.outcome, a.class, a.err, c.want)
		}
		server.Close()
	}
}
