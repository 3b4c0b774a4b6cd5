package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/hookproxy/hookproxy/rules"
)

// Ruling is all that a rules file decides about the proxy. It may be replaced
// while requests are served.
type Ruling struct {
	// Rules are the rules in force. Nil: nothing matches.
	Rules *rules.File
	// Identity says who is calling. Nil: nobody is known.
	Identity Identifier
	// Own answers the requests under OwnPaths, which never reach the upstream.
	// Each path counts segment by segment, with everything below it. Own sees
	// the path in canonical form.
	Own      http.Handler
	OwnPaths []string
}

// Replace puts another ruling in force. A request is served by one ruling from
// its beginning to its end: that which was in force when it began. Where the
// ruling cannot be, the error says all that is wrong with it, and the old one
// stays.
func (p *Proxy) Replace(with Ruling) error {
	if err := with.validate(p.publisher); err != nil {
		return err
	}
	p.ruling.Store(with.made())
	return nil
}

// Rules answers the rules in force, or nil.
func (p *Proxy) Rules() *rules.File { return p.ruling.Load().file }

func (r Ruling) validate(publisher Publisher) error {
	var mistakes []error
	if r.Rules != nil && publisher == nil {
		mistakes = append(mistakes, errors.New("rules without a publisher: their events would go nowhere"))
	}
	for _, path := range r.OwnPaths {
		if r.Own == nil {
			mistakes = append(mistakes, fmt.Errorf("own path %q without a handler for it", path))
		}
		if len(rules.Canonical(path)) == 0 {
			mistakes = append(mistakes, fmt.Errorf("own path %q would hide the whole API", path))
		}
	}
	return errors.Join(mistakes...)
}

// ruling is a Ruling at work.
type ruling struct {
	match     func(*exchange) (matcher, rules.CaptureSettings)
	ask       func(*http.Request) answerer // nil: nobody is known
	strip     func(*http.Request)
	own       http.Handler
	ownPaths  ownPaths
	file      *rules.File
	unmatched *unmatchedRoutes
	strips    bool // some paths are forwarded without their mount
}

func (r Ruling) made() *ruling {
	made := &ruling{
		match: matchIn(r.Rules), strip: func(*http.Request) {}, own: r.Own, ownPaths: newOwnPaths(r.OwnPaths),
		file: r.Rules, unmatched: &unmatchedRoutes{literal: literalIn(r.Rules), roots: map[string]*routeNode{}},
		strips: r.Rules != nil && r.Rules.Strips(),
	}
	if r.Identity != nil {
		made.ask = func(request *http.Request) answerer { return r.Identity.Ask(request) }
		made.strip = r.Identity.Strip
	}
	return made
}

// mountOf answers the beginning of a path, as it was written, that is left out of
// what is forwarded; "" for nothing.
func (r *ruling) mountOf(u *url.URL) string {
	if !r.strips {
		return ""
	}
	raw := rawPath(u)
	return raw[:r.file.Stripped(raw)]
}
