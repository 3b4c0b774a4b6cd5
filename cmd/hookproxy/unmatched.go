package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hookproxy/hookproxy/proxy"
)

// loggedRoutes is how many unmatched routes the log names at the end.
const loggedRoutes = 20

// unmatched answers where the report comes from; nil where nothing is forwarded.
func (p *program) unmatched() func() proxy.Unmatched {
	if p.proxy == nil {
		return nil
	}
	return p.proxy.Unmatched
}

// writeUnmatched answers as JSON to those who ask for it, and else as text.
func writeUnmatched(w http.ResponseWriter, r *http.Request, u proxy.Unmatched) {
	if strings.Contains(r.Header.Get("Accept"), "json") || r.URL.Query().Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(u) // the asker is gone; there is nobody to tell
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "Writes that succeeded and that no rule matches, since the rules were loaded (routes: %d):\n", len(u.Routes))
	for _, route := range u.Routes {
		_, _ = fmt.Fprintf(w, "%10d  %s %s\n", route.Count, route.Method, route.Path)
	}
	if u.Beyond > 0 {
		_, _ = fmt.Fprintf(w, "%10d  more, for whose routes there was no room\n", u.Beyond)
	}
}

// logUnmatched names the routes that rules might still be missing for, where
// the rules are only being looked at.
func (p *program) logUnmatched() {
	if !p.proxy.Rules().Observing {
		return
	}
	u := p.proxy.Unmatched()
	for _, route := range u.Routes[:min(len(u.Routes), loggedRoutes)] {
		p.log.Info("no rule matches", "route", route.Method+" "+route.Path, "writes", route.Count)
	}
	if left := len(u.Routes) - loggedRoutes; left > 0 || u.Beyond > 0 {
		p.log.Info("no rule matches", "more_routes", max(left, 0), "writes_beyond", u.Beyond)
	}
}
