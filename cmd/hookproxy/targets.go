package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"

	"github.com/hookproxy/hookproxy/internal/addresses"
)

// readTargets reads where deliveries may go, and how.
func (r *settingReader) readTargets(s settings, c *config) {
	if s.TargetPorts != "" {
		ports, err := addresses.ParsePorts(s.TargetPorts)
		if err != nil {
			r.refuse("target-ports", s.TargetPorts, "cannot be read: %v", err)
		}
		c.targetPorts = ports
	}
	c.egressProxy = r.egressProxy(s.EgressProxy)
	certificate := r.keyPair("target-cert", s.TargetCert, "target-key", s.TargetKey)
	if s.TargetCA == "" && certificate == nil {
		return
	}
	c.targetTLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if certificate != nil {
		c.targetTLS.Certificates = []tls.Certificate{*certificate}
	}
	if s.TargetCA != "" {
		// Besides the system's: most targets are out in the world.
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		r.trust("target-ca", s.TargetCA, roots)
		c.targetTLS.RootCAs = roots
	}
}

// egressProxy reads the proxy that targets are reached through, nil for none. A
// refusal shows nothing of its credentials.
func (r *settingReader) egressProxy(value string) *url.URL {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		r.refuse("egress-proxy", redactURL(value), "is not http:// or https://[user:password@]host:port")
	case u.Port() != "" && !validPort(u.Port()):
		r.refuse("egress-proxy", redactURL(value), "has a port that is no number from 1 to 65535")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		r.refuse("egress-proxy", redactURL(value), "has more than a scheme, credentials, host and port")
	}
	return u
}

// trust adds a file's certificates to a pool.
func (r *settingReader) trust(flag, path string, pool *x509.CertPool) {
	if pem := r.file(flag, path); pem != nil && !pool.AppendCertsFromPEM(pem) {
		r.refuse(flag, path, "holds no PEM certificate")
	}
}

// keyPair reads a certificate and its key, nil where neither is set.
func (r *settingReader) keyPair(certFlag, cert, keyFlag, key string) *tls.Certificate {
	switch {
	case cert == "" && key == "":
		return nil
	case key == "":
		r.refuse(keyFlag, "", "is missing beside --%s", certFlag)
		return nil
	case cert == "":
		r.refuse(certFlag, "", "is missing beside --%s", keyFlag)
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		r.refuse(certFlag, cert, "cannot be used with --%s %q: %v", keyFlag, key, err)
	}
	return &pair
}
