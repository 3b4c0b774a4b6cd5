package rules

import (
	"github.com/tidwall/gjson"
	"gopkg.in/yaml.v3"
)

func (p *parser) whoami(n *yaml.Node, r *Resolver) {
	r.User, r.Credentials = defaultWhoamiUser, []string{defaultCredential}
	if n.Kind != yaml.MappingNode {
		r.Get = p.location(n, "identity.whoami.get")
		return
	}
	fields := p.options(n, "identity.whoami", "get", "post", "body", "user", "credentials", "ca")
	if (fields["get"] == nil) == (fields["post"] == nil) {
		p.mistake(n, "identity.whoami: expected the key get, or post in its place")
	}
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
