package rules

import "gopkg.in/yaml.v3"

var keySection = section{
	need: []string{"secret"},
	either: []choice{
		{"header", "query", "either header or query"},
		{"verify", "unverified", "verify, a path at the API that only a good key opens; or unverified: true, if anybody's key is to be believed"},
	},
	keys: []option{
		{"header", headerKind, "The header that holds the key, such as X-Api-Key.", nil},
		{"query", anyText, "The query parameter that holds the key, such as api_key.", nil},
		{"secret", several{keySource}, "A secret of 32 bytes and more that the pseudonyms are made with. Whoever changes it makes every caller a new one.", nil},
		{"verify", upstreamKind, "A path at the API that only a good key opens, such as /me.", nil},
		{"unverified", agreed{}, "Any key is believed: anybody who makes one up can have subscriptions.", nil},
	},
}

// KeySettings is how callers are known by their API key.
type KeySettings struct {
	// Header or Query is where the key stands; the other one is empty.
	Header, Query string
	// Secret is what the pseudonyms are made with.
	Secret KeySource
	// Unverified says that any key is believed.
	Unverified bool
}

func (p *parser) key(n *yaml.Node, r *Resolver) {
	fields := p.options(n, "identity.key", keySection)
	s := &KeySettings{}
	r.Key = s
	if value := fields["header"]; value != nil {
		s.Header = p.headerName(value, "identity.key.header")
	}
	if value := fields["query"]; value != nil {
		s.Query, _ = p.text(value, "identity.key.query", "the name of a query parameter, such as api_key")
	}
	if value := fields["secret"]; value != nil {
		sources := p.keySources(value, "identity.key.secret")
		if len(sources) == 1 {
			s.Secret = sources[0]
		} else if len(sources) > 1 {
			p.mistake(value, "identity.key.secret: expected one secret")
		}
	}
	if value := fields["verify"]; value != nil {
		r.Get = p.upstreamPath(value, "identity.key.verify")
	}
	if value := fields["unverified"]; value != nil {
		if s.Unverified, _ = truthOf(value); !s.Unverified {
			p.mistake(value, "identity.key.unverified: expected true, or the key left out; found %s", describe(value))
		}
	}
}
