package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
)

// endpoint is a fixed URL that is asked, and the way there.
type endpoint struct {
	url       *url.URL
	transport http.RoundTripper
	// outside tells an absolute URL from a path at the upstream: there, neither
	// the caller's Host nor what is said about proxies applies.
	outside bool
}

// newEndpoint reads a path at the upstream or an absolute URL. ca is a file of
// PEM certificates that an absolute URL's server is verified with; "" means the
// system's.
func newEndpoint(o Options, where, ca string) (endpoint, error) {
	if strings.HasPrefix(where, "/") && !strings.HasPrefix(where, "//") {
		return upstreamEndpoint(o, where, ca)
	}
	target, err := url.Parse(where)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Hostname() == "" || target.User != nil || strings.Contains(where, "#") {
		return endpoint{}, errors.New("needs a path at the upstream, such as /me, or an http or https URL without a password")
	}
	transport, err := o.outside.to(ca)
	at := endpoint{url: target, transport: transport, outside: true}
	if target.Scheme == "http" {
		o.Log.Warn("identity is asked without TLS: who stands in between can read credentials and forge answers and keys", "url", at.name())
	}
	return at, err
}

func upstreamEndpoint(o Options, path, ca string) (endpoint, error) {
	if o.Upstream == nil || o.Transport == nil {
		return endpoint{}, errors.New("needs an upstream and a transport")
	}
	if ca != "" {
		return endpoint{}, errors.New("certificates of its own are for an absolute URL")
	}
	target, err := targetOf(o.Upstream, path)
	return endpoint{url: target, transport: o.Transport}, err
}

// targetOf puts a path below the upstream. The path cannot lead to another
// host: credentials are sent to it.
func targetOf(upstream *url.URL, get string) (*url.URL, error) {
	ref, err := url.Parse(get)
	if err != nil || !strings.HasPrefix(get, "/") || ref.Host != "" || ref.User != nil || strings.Contains(get, "#") {
		return nil, fmt.Errorf("get must be a path at the upstream, such as /me; it is %q", get)
	}
	base := url.URL{Scheme: upstream.Scheme, Host: upstream.Host}
	if base.Scheme == "h2c" { // HTTP/2 without TLS is the transport's affair
		base.Scheme = "http"
	}
	path := strings.TrimRight(upstream.EscapedPath(), "/") + ref.EscapedPath()
	target, err := url.Parse(base.String() + path)
	if err != nil {
		return nil, fmt.Errorf("get %q at the upstream: %w", get, err)
	}
	target.RawQuery = ref.RawQuery
	return target, nil
}

// name answers what may be logged of the endpoint: a query may hold secrets.
func (e endpoint) name() string {
	if e.outside {
		return e.url.Scheme + "://" + e.url.Host + e.url.EscapedPath()
	}
	return e.url.Path
}

// outside keeps the transports to absolute URLs, one for each set of
// certificates, by its PEM; "" stands for the system's.
type outside struct {
	given      http.RoundTripper // instead, if not nil
	mu         sync.Mutex
	transports map[string]*http.Transport
}

func (o *outside) to(ca string) (http.RoundTripper, error) {
	if o.given != nil {
		return o.given, nil
	}
	settings, pem := &tls.Config{MinVersion: tls.VersionTLS12}, []byte(nil)
	if ca != "" {
		var err error
		if pem, err = os.ReadFile(ca); err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates: %s holds none in PEM form", ca)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if made := o.transports[string(pem)]; made != nil {
		return made, nil
	}
	made := http.DefaultTransport.(*http.Transport).Clone()
	made.TLSClientConfig = settings
	o.transports[string(pem)] = made
	return made, nil
}

// close ends the connections that wait for a next request.
func (o *outside) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, transport := range o.transports {
		transport.CloseIdleConnections()
	}
}
