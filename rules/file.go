// Package rules turns rules.yaml into a File, and exchanges into events:
//
//	rules.yaml ──Parse──► File ──Match(method, path)──► Match ──Derive(exchange)──► Results
//
// It is pure: no I/O, no clock, no Redis, no goroutines. A File is immutable
// and may be used by any number of goroutines.
package rules

import (
	"slices"
)

// What the sections of rules.yaml say where they say nothing.
const (
	DefaultSubscriptionsPath = "/api/v1/subscription/"
	DefaultEventsPath        = "/api/v1/event/"
	DefaultMaxPerUser        = 100
	DefaultMaxTotal          = 100_000
	DefaultMaxBacklog        = 10_000
	DefaultMaxBacklogSize    = 64 << 20
	DefaultSamples           = 3
	DefaultMaxBody           = 1 << 20
	DefaultBudget            = 64 << 20
)

// File is a whole rules.yaml, as Parse read it.
type File struct {
	// Identity says who is calling: the first that applies decides. Empty where
	// the section is missing; nobody is known then.
	Identity []Resolver
	// Subscriptions says where our own endpoints are and what they allow.
	Subscriptions SubscriptionSettings
	// Capture bounds what is kept of an exchange.
	Capture CaptureSettings
	// Observing says that no rule's events are published: "mode: observe" of the
	// whole file.
	Observing bool
	// Rules are all rules in file order, with resources and rules of several
	// routes expanded: one Rule has one method and one path template.
	Rules []*Rule

	about       map[string]EventAbout // by the event's name
	matching    matchSettings
	credentials []string // see Match.Credentials
	parameters  []string // see Match.Parameters
	index       index
	literals    map[string]bool // segments of the rules' paths that have no parameters
}

// Resolver is one entry of identity. Which fields are set depends on its Kind.
type Resolver struct {
	// Kind is "header", "basic", "jwt", "whoami", "key" or "anonymous".
	Kind string
	// Header is the name of the header that a trusted proxy sets (header).
	Header string
	// Get is the path, perhaps with a query, that is asked at the upstream
	// (basic, whoami), or an absolute URL (whoami).
	Get string
	// Post and Body stand in place of Get where the question takes a POST of
	// that JSON text (whoami).
	Post, Body string
	// CA is a file of certificates for an absolute URL (whoami).
	CA string
	// User is where in the answer or the claims the user stands, a gjson path
	// (whoami, jwt), or the fixed user itself (anonymous).
	User string
	// Credentials are the only request headers that whoami passes on.
	Credentials []string
	// Query are the only parameters of the request's query that whoami passes on.
	Query []string
	// Key says where an API key stands, and what becomes of it (key); nil
	// otherwise. Get is then the path that verifies it.
	Key *KeySettings
	// JWT is what a token is verified by (jwt); nil otherwise.
	JWT *JWTSettings
	// Line is where in rules.yaml the entry stands.
	Line int
}

// SubscriptionSettings is the section subscriptions.
type SubscriptionSettings struct {
	// Path and EventsPath are where our own endpoints are served. Both begin
	// and end with a slash, and neither lies under the other.
	Path, EventsPath string
	// MaxPerUser is how many subscriptions one user may have.
	MaxPerUser int
	// MaxTotal is how many subscriptions all users may have together.
	MaxTotal int
	// MaxBacklog is how many deliveries may wait for one inactive subscription.
	MaxBacklog int
	// MaxBacklogSize is how many bytes may.
	MaxBacklogSize int64
	// Samples is how many of a user's latest events of each kind are kept, for
	// those who want to see what they look like; zero: none.
	Samples int
	// Limits bound what subscribers may set.
	Limits OptionLimits
	// Intent is "none", or "handshake" where targets must show that they want
	// hooks before they get any.
	Intent string
	// IntentExempt are the hosts whose targets need not: in lower case, as
	// hooks.zapier.com, or *.make.com for all below make.com.
	IntentExempt []string
}

// CaptureSettings is the section capture.
type CaptureSettings struct {
	// MaxBody is the largest body that is captured, in bytes, encoded and
	// decoded.
	MaxBody int64
	// Budget is how many bytes all captured bodies may have together. It is
	// never less than MaxBody.
	Budget int64
}

func defaults() *File {
	return &File{
		Subscriptions: SubscriptionSettings{
			Path: DefaultSubscriptionsPath, EventsPath: DefaultEventsPath,
			MaxPerUser: DefaultMaxPerUser, MaxTotal: DefaultMaxTotal, MaxBacklog: DefaultMaxBacklog, MaxBacklogSize: DefaultMaxBacklogSize,
			Intent: intents[0], Samples: DefaultSamples,
		},
		Capture: CaptureSettings{MaxBody: DefaultMaxBody, Budget: DefaultBudget},
	}
}

// Events answers every event name that some rule can emit, distinct and sorted.
func (f *File) Events() []string {
	var names []string
	for _, rule := range f.Rules {
		names = append(names, rule.Events...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Literal reports whether some rule's path has the segment, as it stands.
func (f *File) Literal(segment string) bool { return f.literals[segment] }

func literalsOf(rules []*Rule) map[string]bool {
	literals := make(map[string]bool)
	for _, rule := range rules {
		for _, s := range rule.template.segments {
			if s.literal != "" {
				literals[s.literal] = true
			}
			for _, value := range s.values {
				literals[value] = true
			}
		}
	}
	return literals
}
