package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard keeps out whoever is not an operator, browsers above all: a page that an
// operator looks at can send requests to this machine too.
type guard struct {
	token  string
	refuse func(http.ResponseWriter, *http.Request, error)
}

// crossOrigin needs no state; it reads Sec-Fetch-Site and Origin.
var crossOrigin http.CrossOriginProtection

func (g guard) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		if err := g.check(r); err != nil {
			g.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g guard) check(r *http.Request) error {
	// A token is what no page of another's can have. Without one, a name that leads
	// to this machine (DNS rebinding) makes a page of another's look like ours.
	if g.token != "" && !g.hasToken(r) {
		return errToken
	}
	if g.token == "" && !isLocal(r.Host) {
		return errHost
	}
	if crossOrigin.Check(r) != nil {
		return errCrossOrigin
	}
	// Forms cannot send this, so a browser asks first whether it may.
	if r.Method == http.MethodPost && !isJSON(r.Header) {
		return errMediaType
	}
	return nil
}

// hasToken compares in constant time, of any length.
func (g guard) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	want, got := sha256.Sum256([]byte(g.token)), sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// isLocal tells whether a Host names this machine in a way that no DNS server has a
// say in.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}
