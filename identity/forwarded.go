package identity

import (
	"net/http"
	"slices"
)

const (
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

// forwarded is what the upstream is told of a request's way to us, as the proxy
// tells it with the request itself: an API that redirects plain HTTP to HTTPS
// (force_ssl) goes by it.
type forwarded struct{ proto, host []string }

func forwardedOf(r *http.Request, trusted peers) forwarded {
	f := forwarded{proto: []string{"http"}, host: []string{r.Host}}
	if r.TLS != nil {
		f.proto[0] = "https"
	}
	if !trusted.include(r) {
		return f
	}
	if said := r.Header[forwardedProto]; len(said) > 0 {
		f.proto = slices.Clone(said)
	}
	if said := r.Header[forwardedHost]; len(said) > 0 {
		f.host = slices.Clone(said)
	}
	return f
}
