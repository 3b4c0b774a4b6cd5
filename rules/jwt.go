package rules

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// maxLeeway bounds how far the clocks of a token's issuer and ours may differ.
var maxLeeway = lapse{5 * time.Minute}

var jwtSection = section{
	need:   []string{"issuer", "audience", "algorithms"},
	either: []choice{{"jwks", "keys", "either jwks or keys"}},
	keys: []option{
		{"jwks", locationKind, "The issuer's keys: a URL, or a path at the API.", nil},
		{"keys", several{keySource}, "PEM files of public keys, or secrets of 32 bytes and more for HS…, from files or the environment.", nil},
		{"issuer", anyText, "What iss must be.", nil},
		{"audience", several{anyText}, "One of these must be in aud.", nil},
		{"algorithms", several{algorithms}, "What tokens may be signed with: all with a secret (HS…), or all with a public key.", nil},
		{"user", jsonPathKind, "Where in the claims the user stands.", defaultTokenUser},
		{"leeway", maxLeeway, "How far clocks may differ, such as 30s; 5m at most.", "30s"},
		{"ca", anyText, "A file of PEM certificates that vouch for the URL's server.", nil},
	},
}

var keySource = section{
	size: 1,
	keys: []option{
		{"file", anyText, "The path of a file that holds it.", nil},
		{"env", matched("^[A-Za-z0-9_]+$"), "The name of a variable that holds it.", nil},
	},
}

// JWTSettings is what a token is verified by.
type JWTSettings struct {
	// JWKS is where the issuer's keys are: a path at the upstream or an
	// absolute URL. Empty where there are Keys.
	JWKS string
	// Keys are files or variables that hold keys or secrets.
	Keys []KeySource
	// Issuer, Audience and Algorithms are what a token must name; of the
	// audiences one.
	Issuer     string
	Audience   []string
	Algorithms []string
	// Leeway is how far clocks may differ; zero is the default.
	Leeway time.Duration
	// CA is a file of certificates for an absolute URL; empty: the system's.
	CA string
}

// KeySource is where a key is kept; one of the two is set.
type KeySource struct{ File, Env string }

// algorithms are those that a token may be signed with (RFC 7518, RFC 8037).
var algorithms = words{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
}

func (p *parser) jwt(n *yaml.Node, r *Resolver) {
	fields := p.options(n, "identity.jwt", jwtSection)
	s := &JWTSettings{}
	r.User, r.JWT = defaultTokenUser, s
	for name, read := range map[string]func(*yaml.Node){
		"jwks":       func(v *yaml.Node) { s.JWKS = p.location(v, "identity.jwt.jwks") },
		"keys":       func(v *yaml.Node) { s.Keys = p.keySources(v, "identity.jwt.keys") },
		"issuer":     func(v *yaml.Node) { s.Issuer, _ = p.text(v, "identity.jwt.issuer", "what iss must be") },
		"audience":   func(v *yaml.Node) { s.Audience = p.texts(v, "identity.jwt.audience", "what aud must hold") },
		"algorithms": func(v *yaml.Node) { s.Algorithms = p.algorithms(v) },
		"user":       func(v *yaml.Node) { r.User = p.userPath(v, "identity.jwt.user", "a path into the claims, such as sub") },
		"leeway":     func(v *yaml.Node) { s.Leeway = p.duration(v, "identity.jwt.leeway", maxLeeway) },
	} {
		if value := fields[name]; value != nil {
			read(value)
		}
	}
	if value := fields["ca"]; value != nil {
		s.CA = p.certificates(value, "identity.jwt.ca", s.JWKS)
	}
	if s.JWKS != "" && slices.ContainsFunc(s.Algorithms, isSecretAlgorithm) {
		p.mistake(n, "identity.jwt.algorithms: expected keys beside HS…: what stands at a URL is no secret")
	}
}

func isSecretAlgorithm(name string) bool { return strings.HasPrefix(name, "HS") }

// algorithms reads names of algorithms, all with a secret or all with a public
// key: a token must never choose which of the two its key is.
func (p *parser) algorithms(n *yaml.Node) []string {
	names := p.texts(n, "identity.jwt.algorithms", "an algorithm, such as RS256")
	secret := 0
	for _, name := range names {
		if !slices.Contains(algorithms, name) {
			p.mistake(n, "identity.jwt.algorithms: expected some of %s; found %s%s", strings.Join(algorithms, ", "), quoted(name), suggestion(name, algorithms))
		}
		if isSecretAlgorithm(name) {
			secret++
		}
	}
	if secret > 0 && secret < len(names) {
		p.mistake(n, "identity.jwt.algorithms: expected an entry of its own for those with a secret (HS…)")
	}
	return names
}

// keySources reads a list of {file: …} and {env: …}.
func (p *parser) keySources(n *yaml.Node, what string) (sources []KeySource) {
	for _, item := range p.list(n, what) {
		if item.Kind != yaml.MappingNode || len(item.Content) != 2 {
			// Not what was found: it may be the secret itself.
			p.mistake(item, "%s: expected {file: …} or {env: …}, found something else", what)
			continue
		}
		var source KeySource
		for kind, value := range p.options(item, what, keySource) {
			if kind == "file" {
				source.File, _ = p.text(value, what+".file", "a path")
			} else {
				source.Env = p.variable(value, what+".env")
			}
		}
		sources = append(sources, source)
	}
	return sources
}

// variable answers the name of a variable of the environment.
func (p *parser) variable(n *yaml.Node, what string) string {
	name, ok := p.text(n, what, "the name of a variable, such as JWT_SECRET")
	if ok && strings.ContainsFunc(name, func(r rune) bool {
		return !(r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	}) {
		p.mistake(n, "%s: expected the name of a variable, such as JWT_SECRET, not what it holds", what)
	}
	return name
}

// texts answers one text or several.
func (p *parser) texts(n *yaml.Node, what, expected string) (texts []string) {
	for _, item := range p.list(n, what) {
		text, _ := p.text(item, what, expected)
		texts = append(texts, text)
	}
	return texts
}

// duration answers a time above zero, such as 30s.
func (p *parser) duration(n *yaml.Node, what string, k lapse) time.Duration {
	expected := "a time of at most " + k.most.String() + ", such as 30s"
	text, ok := p.text(n, what, expected)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > k.most {
		p.mistake(n, "%s: expected %s, found %s", what, expected, quoted(text))
	}
	return d
}
