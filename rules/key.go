package rules

import "gopkg.in/yaml.v3"

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
	fields := p.options(n, "identity.key", "header", "query", "secret", "verify", "unverified")
	s := &KeySettings{}
	r.Key = s
	if (fields["header"] == nil) == (fields["query"] == nil) {
		p.mistake(n, "identity.key: expected either header or query")
	}
	if value := fields["header"]; value != nil {
		s.Header = p.headerName(value, "identity.key.header")
	}
	if value := fields["query"]; value != nil {
		s.Query, _ = p.text(value, "identity.key.query", "the name of a query parameter, such as api_key")
	}
	if value := fields["secret"]; value == nil {
		p.mistake(n, "identity.key: expected the key secret")
	} else if sources := p.keySources(value, "identity.key.secret"); len(sources) == 1 {
		s.Secret = sources[0]
	} else if len(sources) > 1 {
		p.mistake(value, "identity.key.secret: expected one secret")
	}
	if value := fields["verify"]; value != nil {
		r.Get = p.upstreamPath(value, "identity.key.verify")
	}
	if value := fields["unverified"]; value != nil {
		s.Unverified = value.Kind == yaml.ScalarNode && value.ShortTag() == "!!bool" && value.Value == "true"
		if !s.Unverified {
			p.mistake(value, "identity.key.unverified: expected true, or the key left out; found %s", describe(value))
		}
	}
	if (fields["verify"] == nil) == (fields["unverified"] == nil) {
		p.mistake(n, "identity.key: expected verify, a path at the API that only a good key opens; or unverified: true, if anybody's key is to be believed")
	}
}
