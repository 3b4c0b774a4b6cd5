package rules

import (
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// What identity's entries say where they say nothing.
const (
	defaultWhoamiUser = "id"
	defaultTokenUser  = "sub"
	defaultCredential = "Authorization"
)

// Kinds that several entries of identity have.
const (
	headerPattern = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}"
	headerKind    = matched("^" + headerPattern + "$")
	upstreamKind  = matched(`^/([^/].*)?$`)
	locationKind  = matched(`^(/([^/].*)?|[hH][tT][tT][pP][sS]?://[^@/?#]+([/?].*)?)$`)
	anyText       = matched("")
)

// resolverSection is an entry of identity: the kinds of resolver, in the order
// in which messages name them.
var resolverSection = section{
	about: "One way to tell who is calling; the first entry that applies to a request decides.",
	size:  1,
	keys: []option{
		{"header", headerSection, "A header that a trusted proxy before hookproxy sets (see --trusted-proxies), and nobody else.", nil},
		{"basic", basicSection, "HTTP Basic: the user name, once the API has answered 2xx to the same credentials.", nil},
		{"jwt", jwtSection, "A Bearer token that an issuer has signed.", nil},
		{"whoami", whoamiSection, "Ask the API itself, with the caller's own credentials.", nil},
		{"key", keySection, "An API key: the user is a pseudonym of it.", nil},
		{"anonymous", anonymousSection, "Everybody else is this one user. Only as the last entry.", nil},
	},
}

var headerSection = section{
	short: "name", need: []string{"name"},
	keys: []option{{"name", headerKind, "The header that names the user, such as X-User-Id.", nil}},
}

var basicSection = section{
	short: "get", need: []string{"get"},
	keys: []option{{"get", upstreamKind, "A path at the API that only good credentials open, such as /me.", nil}},
}

var anonymousSection = section{
	short: "user", need: []string{"user"},
	keys: []option{{"user", identifier{}, "Who everybody else is.", nil}},
}

// identity reads the list of resolvers. Each is a map of one key, its kind;
// the value is a map of that kind's fields, or the most important of them.
func (p *parser) identity(n *yaml.Node, file *File) {
	if n.Kind != yaml.SequenceNode {
		p.mistake(n, "identity: expected a list, each entry one of %s; found %s", strings.Join(resolverSection.names(), ", "), describe(n))
		return
	}
	for _, item := range n.Content {
		if len(file.Identity) > 0 && file.Identity[len(file.Identity)-1].Kind == "anonymous" {
			p.mistake(item, "identity: this entry is never asked: anonymous, before it, applies to everyone")
		}
		if resolver, ok := p.resolver(item); ok {
			file.Identity = append(file.Identity, resolver)
		}
	}
}

func (p *parser) resolver(n *yaml.Node) (Resolver, bool) {
	kinds := map[string]func(*yaml.Node, *Resolver){
		"header": p.header, "basic": p.basic, "jwt": p.jwt, "whoami": p.whoami, "key": p.key, "anonymous": p.anonymous,
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		p.mistake(n, "identity: expected a map of one key (one of %s), found %s", strings.Join(resolverSection.names(), ", "), describeEntry(n))
		return Resolver{}, false
	}
	before := len(p.mistakes)
	resolver := Resolver{Line: n.Line}
	for kind, value := range p.options(n, "identity", resolverSection) {
		resolver.Kind = kind
		kinds[kind](value, &resolver)
	}
	return resolver, len(p.mistakes) == before
}

func describeEntry(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		return "a map of another size"
	}
	return describe(n)
}

func (p *parser) header(n *yaml.Node, r *Resolver) {
	if value := p.fields(n, "identity.header", headerSection)["name"]; value != nil {
		r.Header = p.headerName(value, "identity.header.name")
	}
	// A header's value becomes the user, which is stored and shown.
	if isCredential(r.Header) {
		p.mistake(n, "identity.header.name: %s carries credentials; expected a header that names the user, such as X-User-Id", r.Header)
	}
}

func (p *parser) basic(n *yaml.Node, r *Resolver) {
	if value := p.fields(n, "identity.basic", basicSection)["get"]; value != nil {
		r.Get = p.upstreamPath(value, "identity.basic.get")
	}
}

// userPath answers a path to the user in a JSON document.
func (p *parser) userPath(n *yaml.Node, what, expected string) string {
	user, ok := p.text(n, what, expected)
	if ok {
		if _, err := parseJSONPath(user); err != nil {
			p.mistake(n, "%s: %v", what, err)
		}
	}
	return user
}

func (p *parser) anonymous(n *yaml.Node, r *Resolver) {
	if value := p.fields(n, "identity.anonymous", anonymousSection)["user"]; value != nil {
		r.User = p.fixedUser(value, "identity.anonymous.user")
	}
}

// fixedUser answers a user written out in the rules file.
func (p *parser) fixedUser(n *yaml.Node, what string) string {
	user := n.Value
	if n.Kind != yaml.ScalarNode || (n.ShortTag() != "!!str" && n.ShortTag() != "!!int") || !isUser(user) {
		p.mistake(n, "%s: expected the user's id, a text or whole number, found %s", what, describe(n))
	}
	return user
}

func (p *parser) headerName(n *yaml.Node, what string) string {
	name, ok := p.text(n, what, "a header name, such as Authorization")
	if ok && !isToken(name) {
		p.mistake(n, "%s: expected a header name, such as Authorization, found %s", what, quoted(name))
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// upstreamPath answers a path, perhaps with a query, at the upstream.
func (p *parser) upstreamPath(n *yaml.Node, what string) string {
	const expected = "a path at the API, such as /me"
	path, ok := p.text(n, what, expected)
	if !ok {
		return ""
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || u.Fragment != "" ||
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '#' }) {
		p.mistake(n, "%s: expected %s, found %s", what, expected, quoted(path))
	}
	return path
}

// location answers a path at the upstream or an absolute URL.
func (p *parser) location(n *yaml.Node, what string) string {
	const expected = "a path at the API, such as /me, or an http or https URL without a password"
	where, ok := p.text(n, what, expected)
	if !ok {
		return ""
	}
	if strings.HasPrefix(where, "/") {
		return p.upstreamPath(n, what)
	}
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.ContainsFunc(where, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '#' }) {
		p.mistake(n, "%s: expected %s, found another text", what, expected) // which may hold a password
	}
	return where
}

// isAbsolute tells what location answered apart.
func isAbsolute(location string) bool { return location != "" && !strings.HasPrefix(location, "/") }

// certificates answers the option ca, which goes with an absolute URL.
func (p *parser) certificates(n *yaml.Node, what, location string) string {
	ca, ok := p.text(n, what, "a file of PEM certificates, such as /etc/ssl/own.pem")
	if ok && !isAbsolute(location) {
		p.mistake(n, "%s: expected it beside an absolute URL; --upstream-ca is for the API", what)
	}
	return ca
}

// isToken reports whether name can be a header's or a method's (RFC 9110 §5.6.2).
func isToken(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// credentials answers the headers that tell callers apart at the API.
func credentials(resolvers []Resolver) []string {
	names := []string{"Authorization", "Cookie"}
	for _, r := range resolvers {
		names = append(names, r.Headers()...)
		if r.Header != "" { // which a proxy before us sets
			names = append(names, r.Header)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Headers answers the headers that clients send to be known by this resolver.
func (r Resolver) Headers() []string {
	switch {
	case r.Kind == "basic" || r.JWT != nil:
		return []string{"Authorization"}
	case r.Key != nil && r.Key.Header != "":
		return []string{textproto.CanonicalMIMEHeaderKey(r.Key.Header)}
	}
	return r.Credentials
}

// Parameters answers the query parameters that clients send to be known by this
// resolver.
func (r Resolver) Parameters() []string {
	if r.Key != nil && r.Key.Query != "" {
		return []string{r.Key.Query}
	}
	return r.Query
}

// parameters answers the query parameters that tell callers apart at the API.
func parameters(resolvers []Resolver) []string {
	var names []string
	for _, r := range resolvers {
		names = append(names, r.Parameters()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// isCredential reports whether a header holds what must never be stored.
func isCredential(header string) bool {
	return slices.Contains([]string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token",
	}, textproto.CanonicalMIMEHeaderKey(header))
}
