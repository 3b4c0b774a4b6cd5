package rules

import (
	"github.com/tidwall/gjson"
	"gopkg.in/yaml.v3"
)

var whoamiSection = section{
	short:  "get",
	either: []choice{{"get", "post", "the key get, or post in its place"}},
	keys: []option{
		{"get", locationKind, "What is asked: a path at the API, such as /me, or a URL, to which credentials then go.", nil},
		{"post", locationKind, "The same by POST.", nil},
		{"body", anyText, "The JSON text that is posted.", nil},
		{"user", jsonPathKind, "Where in the answer the user stands, such as id or account.id.", defaultWhoamiUser},
		{"credentials", several{headerKind}, "The only headers that are passed on.", defaultCredential},
		{"query", several{anyText}, "The only query parameters that are passed on, such as api_key; none by default.", nil},
		{"ca", anyText, "A file of PEM certificates that vouch for the URL's server.", nil},
	},
}

func (p *parser) whoami(n *yaml.Node, r *Resolver) {
	r.User, r.Credentials = defaultWhoamiUser, []string{defaultCredential}
	fields := p.fields(n, "identity.whoami", whoamiSection)
	if value := fields["get"]; value != nil {
		r.Get = p.location(value, "identity.whoami.get")
	}
	if value := fields["post"]; value != nil {
		r.Post = p.location(value, "identity.whoami.post")
	}
	if value := fields["body"]; value != nil {
		r.Body = p.jsonText(value, "identity.whoami.body")
		if fields["post"] == nil {
			p.mistake(value, "identity.whoami.body: expected post beside it")
		}
	}
	if value := fields["ca"]; value != nil {
		r.CA = p.certificates(value, "identity.whoami.ca", r.Get+r.Post)
	}
	if value := fields["user"]; value != nil {
		r.User = p.userPath(value, "identity.whoami.user", "a path into the answer, such as id or data.account.id")
	}
	if value := fields["credentials"]; value != nil {
		r.Credentials = nil
		for _, item := range p.list(value, "identity.whoami.credentials") {
			r.Credentials = append(r.Credentials, p.headerName(item, "identity.whoami.credentials"))
		}
	}
	if value := fields["query"]; value != nil {
		for _, item := range p.list(value, "identity.whoami.query") {
			name, _ := p.text(item, "identity.whoami.query", "the name of a query parameter, such as api_key")
			r.Query = append(r.Query, name)
		}
	}
}

// jsonText answers a JSON document written as a text.
func (p *parser) jsonText(n *yaml.Node, what string) string {
	const expected = `JSON as a text, such as '{"query": "{ viewer { id } }"}'`
	text, ok := p.text(n, what, expected)
	if ok && !gjson.Valid(text) {
		p.mistake(n, "%s: expected %s", what, expected)
	}
	return text
}
