package rules

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// refusals are files with one mistake each, and what its message must say.
var refusals = []struct{ name, source, message string }{
	{"an empty file", "", ":1:1: expected some of identity"},
	{"only comments", "# nothing\n", "found an empty file"},
	{"null", "~", "found an empty file"},
	{"a list", "- 1", "rules file: expected a map, found a list"},
	{"broken YAML", "a: [\nb", "not YAML"},
	{"not UTF-8", "rules: []\n# \xff", "rules.yaml:2:3: expected UTF-8, found the byte 0xff"},
	{"two documents", "rules: []\n---\nrules: []", "rules.yaml:2:1: expected one YAML document"},
	{"an anchor", "rules: &a []", "found the anchor &a"},
	{"an alias", "rules: &a []\nresources: *a", "rules.yaml:2:12: expected a value, found the alias *a"},
	{"a tag", "rules: !!seq []", "without a tag"},
	{"too deep", "rules: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "within each other"},
	{"too large", "#" + strings.Repeat("x", 1<<20), "expected at most 1048576 bytes"},
	{"a key that is no text", "1: 2", "expected a text as key, found the number 1"},
	{"a merge key", "rules: []\n<<: {}", "expected a text as key"},

	{"identity no list", "identity: {basic: /me}", "identity: expected a list"},
	{"identity text", "identity: [basic]", "expected a map of one key"},
	{"identity two keys", "identity: [{basic: /me, anonymous: x}]", "found a map of another size"},
	{"identity unknown", "identity: [{whoam: /me}]", `did you mean "whoami"?`},
	{"whoami without get", "identity: [{whoami: {user: id}}]", "identity.whoami: expected the key get"},
	{"whoami at another host", "identity: [{whoami: 'http://a:b@evil/me'}]", "without a password"},
	{"whoami at a host-relative URL", "identity: [{whoami: //evil/me}]", "expected a path at the API"},
	{"whoami with a query path", "identity: [{whoami: {get: /me, user: 'a.#(b)'}}]", "expected keys joined by dots"},
	{"header with credentials", "identity: [{header: cookie}]", "Cookie carries credentials"},
	{"header no token", "identity: [{header: 'a b'}]", "expected a header name"},
	{"anonymous not last", "identity: [{anonymous: x}, {basic: /me}]", "this entry is never asked"},
	{"anonymous a map", "identity: [{anonymous: {user: [x]}}]", "expected the user's id"},

	{"own paths equal", "subscriptions: {path: /a/, events_path: /a}", "apart from each other"},
	{"events under path", "subscriptions: {path: /a/, events_path: /a/b/}", "apart from each other"},
	{"path under events", "subscriptions: {path: /a/b, events_path: /a/}", "apart from each other"},
	{"limits list", "subscriptions: {limits: [1]}", "subscriptions.limits: expected a map, found a list"},
	{"limits unknown", "subscriptions: {limits: {rate: 1}}", `unknown key "rate"`},
	{"limit of order", "subscriptions: {limits: {ordered: 1}}", "subscriptions.limits.ordered: expected true or false"},
	{"limit of rate", "subscriptions: {limits: {max_rate: 0}}", "subscriptions.limits.max_rate: expected a number of deliveries a second"},
	{"limit of rate true", "subscriptions: {limits: {max_rate: true}}", "subscriptions.limits.max_rate: expected a number of deliveries a second"},
	{"limit of rate nan", "subscriptions: {limits: {max_rate: .nan}}", "subscriptions.limits.max_rate: expected a number of deliveries a second"},
	{"limit of debounce", "subscriptions: {limits: {debounce: 48h}}", "subscriptions.limits.debounce: expected a time of at most"},
	{"limit of batch", "subscriptions: {limits: {batch: 1}}", "subscriptions.limits.batch: expected a whole number from 2"},
	{"intent unknown", "subscriptions: {intent: handshakes}", "did you mean"},
	{"exempt URL", "subscriptions: {intent_exempt: 'https://hooks.zapier.com'}", "expected a host such as"},
	{"exempt port", "subscriptions: {intent_exempt: ['hooks.zapier.com:443']}", "expected a host such as"},
	{"exempt everything", "subscriptions: {intent_exempt: ['*']}", "expected a host such as"},
	{"exempt inside", "subscriptions: {intent_exempt: ['hooks.*.com']}", "expected a host such as"},
	{"exempt none", "subscriptions: {intent_exempt: []}", "at least one"},
	{"samples beyond", "subscriptions: {samples: 11}", "expected a whole number from 0 to 10"},
	{"events list", "events: [contact.create]", "events: expected a map, found a list"},
	{"event not emitted", "resources: {contact: /contacts}\nevents: {contact.creat: {}}", `found "contact.creat"; did you mean "contact.create"?`},
	{"event option", "resources: {contact: /contacts}\nevents: {contact.create: {desc: x}}", `unknown key "desc"`},
	{"event text", "resources: {contact: /contacts}\nevents: {contact.create: A contact}", "events.contact.create: expected a map"},
	{"event description", "resources: {contact: /contacts}\nevents: {contact.create: {description: [x]}}", "events.contact.create.description: expected a text"},
	{"long description", "resources: {contact: /contacts}\nevents: {contact.create: {description: " + strings.Repeat("x", 1001) + "}}", "at most 1000 characters"},
	{"long example", "resources: {contact: /contacts}\nevents: {contact.create: {example: {a: " + strings.Repeat("x", 17000) + "}}}", "at most 16384 bytes as JSON"},
	{"example list", "resources: {contact: /contacts}\nevents: {contact.create: {example: [1]}}", "events.contact.create.example: expected a map, found a list"},
	{"example not JSON", "resources: {contact: /contacts}\nevents: {contact.create: {example: {a: .inf}}}", "a value that JSON has too"},
	{"example twice", "resources: {contact: /contacts}\nevents: {contact.create: {example: {a: 1, a: 2}}}", "stands in line"},
	{"schema of no type", "resources: {contact: /contacts}\nevents: {contact.create: {schema: {type: strnig}}}", "expected a JSON Schema (draft 2020-12), but"},
	{"schema text", "resources: {contact: /contacts}\nevents: {contact.create: {schema: object}}", "expected a JSON Schema"},
	{"schema reference", "resources: {contact: /contacts}\nevents: {contact.create: {schema: {properties: {a: {$ref: 'file:///etc/passwd'}}}}}", "found $ref; write out"},
	{"example beside schema", "resources: {contact: /contacts}\nevents: {contact.create: {schema: {required: [id]}, example: {name: x}}}", "events.contact.create.example: expected what its schema describes"},
	{"own path everything", "subscriptions: {path: /}", "expected a path such as"},
	{"own path unclean", "subscriptions: {path: /a/../b}", "expected a path such as"},
	{"own path with parameters", "subscriptions: {path: '/{a}'}", "expected a path such as"},
	{"size without sense", "capture: {max_body: 1 mile}", `found "1 mile"`},
	{"size overflow", "capture: {max_body: 99999999999GiB}", "expected a size"},
	{"size zero", "capture: {max_body: 0}", "expected a size"},
	{"budget below max_body", "capture: {max_body: 2MiB, budget: 1MiB}", "budget of at least max_body"},

	{"resource name", "resources: {Contact: /c}", "expected a name such as contact"},
	{"resource without path", "resources: {c: {only: create}}", "expected the key path"},
	{"resource with id", "resources: {c: '/c/{id}'}", "without {id}"},
	{"resource only", "resources: {c: {path: /c, only: [creat]}}", `did you mean "create"?`},
	{"resource payload for delete", "resources: {c: {path: /c, only: [delete], payload: response.body.x}}", "a delete always carries"},
	{"under our own path", "resources: {c: /api/v1/subscription/x}", "never reaches the API"},

	{"rule text", "rules: [x]", "rule: expected a map"},
	{"on empty list", "rules: [{on: [], emit: a.b}]", "expected at least one value"},
	{"on without path", "rules: [{on: POST, emit: a.b}]", "expected a method and a path"},
	{"on HEAD", "rules: [{on: HEAD /a, emit: a.b}]", "HEAD, which is never captured"},
	{"on with query", "rules: [{on: 'POST /a?b=c', emit: a.b}]", "match a query with when"},
	{"on unbalanced", "rules: [{on: 'POST /{a', emit: a.b}]", "as many { as }"},
	{"on an expression of two lines", `rules: [{on: "POST /{a:\n\e[1m(}", emit: a.b}]`, "expected a regular expression"},
	{"on twice a name", "rules: [{on: 'POST /{a}/{a}', emit: a.b}]", "stands there twice"},
	{"on a bad expression", "rules: [{on: 'POST /{a:[}', emit: a.b}]", "expected a regular expression"},
	{"on a group", "rules: [{on: 'POST /{a:(x)+}', emit: a.b}]", "expected groups without capture"},
	{"on an anchor", "rules: [{on: 'POST /a/{b:^[0-9]+$}', emit: a.b}]", "without ^, $"},
	{"on an anchor inside", `rules: [{on: 'POST /{a:x\b.+}/c', emit: a.b}]`, "without ^, $"},
	{"on a huge expression", `rules: [{on: 'POST /{a:\pL{1000}}', emit: a.b}]`, "expected a smaller regular expression"},
	{"too many rules", "rules: [{on: POST /a, emit: a.b}" + strings.Repeat(", {on: POST /a, emit: a.b}", 10_000) + "]", "at most 10000 rules, found 10001"},
	{"on an empty parameter", "rules: [{on: 'POST /{a:.*}', emit: a.b}]", "a parameter is never empty"},
	{"on an unclean path", "rules: [{on: POST /a//b, emit: a.b}]", "without empty, . and .. segments"},
	{"emit no name", "rules: [{on: POST /a, emit: Contact.Create}]", "expected an event name"},
	{"emit a number", "rules: [{on: POST /a, emit: 1.5}]", "found the number 1.5"},
	{"emit unlisted", "rules: [{on: 'POST /{a}', emit: '{path.a}.b'}]", "whose values are listed"},
	{"emit the body", "rules: [{on: POST /a, emit: '{response.body.a}.b'}]", "expected path parameters only"},
	{"emit a bad value", "rules: [{on: 'POST /{a:X|y}', emit: '{path.a}.b'}]", `found "X.b"`},

	{"status 404", "rules: [{on: POST /a, emit: a.b, status: 404}]", "from 200 to 399"},
	{"status 304", "rules: [{on: POST /a, emit: a.b, status: [200, 304]}]", "found 304"},
	{"status 307", "rules: [{on: POST /a, emit: a.b, status: 307}]", "found 307"},
	{"status 308", "rules: [{on: POST /a, emit: a.b, status: 308}]", "found 308"},
	{"when empty", "rules: [{on: POST /a, emit: a.b, when: {}}]", "expected at least one source"},
	{"when a source misspelt", "rules: [{on: POST /a, emit: a.b, when: {respons.body.x: 1}}]", `did you mean "response.body.x"?`},
	{"when an operator misspelt", "rules: [{on: POST /a, emit: a.b, when: {response.body.x: {exist: true}}}]", `did you mean "exists"?`},
	{"when a number for a text", "rules: [{on: POST /a, emit: a.b, when: {query.x: 1}}]", `query.x is always a text, expected "1", found the number 1`},
	{"when a text for a status", "rules: [{on: POST /a, emit: a.b, when: {response.status: '200'}}]", "response.status is a number"},
	{"when a bad expression", "rules: [{on: POST /a, emit: a.b, when: {query.x: {matches: '('}}}]", "matches: expected a regular expression"},
	{"when a list of lists", "rules: [{on: POST /a, emit: a.b, when: {query.x: [[a]]}}]", "found a list"},
	{"when infinite", "rules: [{on: POST /a, emit: a.b, when: {response.body.x: .inf}}]", "a value that JSON has too"},
	{"when an unknown parameter", "rules: [{on: 'POST /{kind}', emit: a.b, when: {path.kin: x}}]", `did you mean "kind"?`},
	{"when an item without each", "rules: [{on: POST /a, emit: a.b, when: {item.x: 1}}]", "expected each beside it"},
	{"user from the request body", "rules: [{on: POST /a, emit: a.b, user: request.body.owner}]", "the caller writes that"},
	{"user from a request header", "rules: [{on: POST /a, emit: a.b, user: request.header.X-User}]", "the caller writes that"},
	{"user from the query", "rules: [{on: POST /a, emit: a.b, user: query.user}]", "the caller writes that"},
	{"user fixed to nothing", "rules: [{on: POST /a, emit: a.b, user: {fixed: ''}}]", "expected the user's id"},
	{"payload a list", "rules: [{on: POST /a, emit: a.b, payload: [1]}]", "or a map as template"},
	{"payload a query path", "rules: [{on: POST /a, emit: a.b, payload: 'response.body.#.id'}]", "expected keys joined by dots"},
	{"payload a modifier", "rules: [{on: POST /a, emit: a.b, payload: 'response.body.@pretty'}]", "expected keys joined by dots"},
	{"payload an open brace", "rules: [{on: POST /a, emit: a.b, payload: {a: 'x {y'}}]", "expected } after {"},
	{"payload with credentials", "rules: [{on: POST /a, emit: a.b, payload: {a: '{request.header.authorization}'}}]", "without credentials"},
	{"payload a secret", "rules: [{on: POST /a, emit: a.b, payload: {a: '{response.body.Token}'}}]", "keep: [token]"},
	{"payload a secret key", "rules: [{on: POST /a, emit: a.b, payload: {password: x}}]", "keep: [password]"},
	{"payload twice a key", "rules: [{on: POST /a, emit: a.b, payload: {a: 1, a: 2}}]", "stands in line 1 already"},
	{"resource an unknown parameter", "rules: [{on: POST /a, emit: a.b, resource: path.id}]", "it has none"},
	{"each a parameter", "rules: [{on: 'POST /{a}', emit: a.b, each: path.a}]", "where the list stands"},
	{"max_items without each", "rules: [{on: POST /a, emit: a.b, max_items: 5}]", "expected each beside it"},
	{"max_items too many", "rules: [{on: POST /a, emit: a.b, each: response.body, max_items: 10001}]", "from 1 to 10000"},
	{"merge beside payload", "rules: [{on: POST /a, emit: a.b, payload: response.body, merge: [request.body, response.body]}]", "expected no payload beside it"},
	{"merge one", "rules: [{on: POST /a, emit: a.b, merge: request.body}]", "at least two sources"},
	{"merge a text", "rules: [{on: POST /a, emit: a.b, merge: [request.body, query.x]}]", `found "query.x"`},
	{"merge a secret", "rules: [{on: POST /a, emit: a.b, merge: [request.body, response.body.token]}]", "keep: [token]"},
	{"pick nothing", "rules: [{on: POST /a, emit: a.b, pick: []}]", "found an empty list"},
	{"pick a query", "rules: [{on: POST /a, emit: a.b, pick: ['a.#.b']}]", "expected keys joined by dots"},
	{"pick a secret", "rules: [{on: POST /a, emit: a.b, pick: [owner.token]}]", "keep: [token]"},
	{"pick of thin", "rules: [{on: POST /a, emit: a.b, payload: thin, pick: [id]}]", "two keys only"},
	{"omit a map", "rules: [{on: POST /a, emit: a.b, omit: {a: 1}}]", "a path into the payload"},
	{"omit of a delete", "resources: {c: {path: /c, only: delete, omit: a}}", "a delete always carries"},
	{"mount a query", "matching: {mount: '/a?b'}", "matching.mount: expected a path only"},
	{"mount no path", "matching: {mount: a}", "begins with /"},
	{"mount and path with one parameter", "matching: {mount: '/{a}'}\nrules: [{on: 'POST /{a}', emit: a.b}]", "stands there twice"},
	{"strip without a mount", "matching: {strip: true}", "matching.strip: expected a mount beside it, such as /api/v1"},
	{"strip the root", "matching: {mount: /, strip: true}", "matching.strip: expected a mount beside it"},
	{"strip a parameter", "matching: {mount: '/{tenant}/api', strip: true}", "matching.strip: expected mounts of letters, digits and . _ ~ - only"},
	{"strip what is written in two ways", "matching: {mount: '/a%2Fb', strip: true}", "matching.strip: expected mounts of letters"},
	{"strip a text", "matching: {mount: /a, strip: yes}", "matching.strip: expected true or false"},
	{"ignore_case a text", "matching: {ignore_case: yes}", "expected true or false"},
	{"a suffix without a dot", "matching: {format_suffixes: [json]}", "expected a suffix such as .json"},
	{"a suffix in a path", "matching: {format_suffixes: [.json]}\nrules: [{on: 'POST /{a}.json', emit: a.b}]", "expected a path without .json"},
	{"an override that is a credential", "matching: {method_override: cookie}", "expected a header name such as X-HTTP-Method-Override"},
	{"a resource's each with delete", "resources: {c: {path: /c, each: response.body}}", "a delete is of one resource"},
	{"mode misspelt", "mode: observed", `did you mean "observe"?`},
	{"mode of a rule", "rules: [{on: POST /a, emit: a.b, mode: silent}]", "mode: expected publish or observe"},
	{"guarantee misspelt", "rules: [{on: POST /a, emit: a.b, guarantee: strikt}]", `did you mean "strict"?`},
	{"fetch misspelt", "rules: [{on: PUT /a, emit: a.b, fetch: befor}]", `did you mean "before"?`},
	{"fetch twice", "rules: [{on: PUT /a, emit: a.b, fetch: [after, later]}]", "expected after or later, found both"},
	{"fetch nothing", "rules: [{on: PUT /a, emit: a.b, fetch: {}}]", "found an empty map"},
	{"fetch before a collection", "rules: [{on: POST /a, emit: a.b, fetch: before}]", "is not the path of one resource"},
	{"fetch with each", "rules: [{on: POST /a, emit: a.b, fetch: after, each: response.body}]", "not one for each item"},
	{"fetch later, strictly", "rules: [{on: POST /a, emit: a.b, fetch: later, guarantee: strict}]", "in memory only is not safe"},
	{"fetch another host", "rules: [{on: POST /a, emit: a.b, fetch: {after: 'http://evil/'}}]", "expected a path such as"},
	{"fetch a query", "rules: [{on: POST /a, emit: a.b, fetch: {after: '/a?b'}}]", "expected a path only"},
	{"fetch what the caller writes", "rules: [{on: POST /a, emit: a.b, fetch: {after: '/a/{request.body.id}'}}]", "parameters of the path"},
	{"fetch before by the answer", "rules: [{on: POST /a, emit: a.b, fetch: {before: '/a/{response.body.id}'}}]", "parameters of the path"},
	{"fetched without fetch", "rules: [{on: POST /a, emit: a.b, payload: fetched}]", "expected fetch: after or fetch: later beside it"},
	{"previous without fetch", "rules: [{on: PUT /a, emit: a.b, fetch: after, payload: previous.x}]", "expected fetch: before beside it"},
	{"changed without fetch", "rules: [{on: PUT /a, emit: a.b, when: {response.body.x: {changed: true}}}]", "to compare with"},
	{"changed of a request", "rules: [{on: PUT /a, emit: a.b, fetch: before, when: {request.body.x: {changed: true}}}]", "a source in response.body or fetched"},
	{"a mount that spans", "matching: {mount: '/{a:.+}'}", "one segment each"},
	{"rules a map", "rules: {}", "rules: expected a list, found a map"},
	{"on too many segments", "rules: [{on: POST " + strings.Repeat("/a", 70) + ", emit: a.b}]", "at most 64 segments"},
	{"on dots in disguise", "rules: [{on: POST /a/%2e%2e/b, emit: a.b}]", "without . and .. segments"},
	{"on a backslash", `rules: [{on: 'POST /a\b', emit: a.b}]`, "in it"},
	{"on many values", "rules: [{on: 'POST /{a:" + strings.Repeat("x|", 64) + "x}', emit: a.b}]", "at most 64 listed values"},
	{"on an expression without end", "rules: [{on: 'POST /a}', emit: a.b}]", "as many { as }"},
	{"emit an unknown parameter", "rules: [{on: 'POST /{kind:a|b}', emit: '{path.kin}.b'}]", `did you mean "kind"?`},
	{"emit a broken text", "rules: [{on: POST /a, emit: 'a}.b'}]", "expected { before }"},
	{"emit too many", "rules: [{on: 'POST /{a:" + strings.Repeat("x|", 20) + "y}/{b:" + strings.Repeat("x|", 20) + "y}', emit: 'n.{path.a}.{path.b}'}]", "at most 256 event names"},
	{"user a status", "rules: [{on: POST /a, emit: a.b, user: response.status}]", "user: expected caller"},
	{"user a map", "rules: [{on: POST /a, emit: a.b, user: {}}]", "user: expected the key fixed"},
	{"when status matches", "rules: [{on: POST /a, emit: a.b, when: {response.status: {matches: x}}}]", "a source that can be a text"},
	{"when exists a text", "rules: [{on: POST /a, emit: a.b, when: {query.x: {exists: no}}}]", "expected true or false"},
	{"when no operator", "rules: [{on: POST /a, emit: a.b, when: {query.x: {}}}]", "found an empty map"},
	{"payload a long path", "rules: [{on: POST /a, emit: a.b, payload: response.body." + strings.Repeat("x", 300) + "}]", "at most 256 bytes"},
	{"payload a deep path", "rules: [{on: POST /a, emit: a.b, payload: response.body" + strings.Repeat(".x", 40) + "}]", "at most 32 keys"},
	{"payload an empty key", "rules: [{on: POST /a, emit: a.b, payload: response.body.a..b}]", "found an empty key"},
	{"payload a lone backslash", `rules: [{on: POST /a, emit: a.b, payload: 'response.body.a\'}]`, "a character after the backslash"},
	{"payload an odd header", "rules: [{on: POST /a, emit: a.b, payload: response.header.a b}]", "expected a header name"},
	{"resource a status", "rules: [{on: POST /a, emit: a.b, resource: response.status}]", "found response.status"},
	{"resource credentials", "rules: [{on: POST /a, emit: a.b, resource: response.header.set-cookie}]", "without credentials"},
	{"keep no secret", "rules: [{on: POST /a, emit: a.b, keep: [tokn]}]", `did you mean "token"?`},
}

func TestEveryKindOfMistakeIsRefusedWithItsReason(t *testing.T) {
	position := regexp.MustCompile(`^rules\.yaml:\d+:\d+: `)
	for _, refusal := range refusals {
		t.Run(refusal.name, func(t *testing.T) {
			file, err := Parse("rules.yaml", []byte(refusal.source))
			if err == nil || file != nil {
				t.Fatalf("parsed:\n%s", refusal.source)
			}
			for _, mistake := range err.(Mistakes) {
				if strings.ContainsFunc(mistake.Message, unicode.IsControl) {
					t.Errorf("more than a line: %q", mistake.Message)
				}
			}
			if !position.MatchString(err.Error()) || !strings.Contains(err.Error(), refusal.message) {
				t.Errorf("expected %q in\n%v", refusal.message, err)
			}
		})
	}
}

// example answers examples/rules.yaml with those of its optional blocks
// written out that want says yes to, and how many there are. A block is a run
// of lines marked #?.
func example(t testing.TB, want func(block int) bool) (string, int) {
	t.Helper()
	source, err := os.ReadFile("../examples/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	optional := regexp.MustCompile(`^(\s*)#\? ?(.*)$`)
	lines := strings.Split(string(source), "\n")
	block, inside := -1, false
	for i, line := range lines {
		found := optional.FindStringSubmatch(line)
		if found != nil && !inside {
			block++
		}
		if inside = found != nil; inside && want(block) {
			lines[i] = found[1] + found[2]
		}
	}
	return strings.Join(lines, "\n"), block + 1
}

func TestTheExampleParsesWithAndWithoutEachOfItsOptions(t *testing.T) {
	plain, blocks := example(t, func(int) bool { return false })
	few := len(parsed(t, plain).Rules)
	all, _ := example(t, func(int) bool { return true })
	const resolvers = 10 // all of them but the first in blocks of their own
	if file := parsed(t, all); len(file.Identity) != resolvers || len(file.Rules) < few+blocks-(resolvers-1) {
		t.Errorf("%d resolvers and %d rules with every option written out", len(file.Identity), len(file.Rules))
	}
	for only := range blocks {
		source, _ := example(t, func(block int) bool { return block == only })
		parsed(t, source)
	}
}

func TestTheExampleShowsEveryOption(t *testing.T) {
	all, _ := example(t, func(int) bool { return true })
	for _, s := range append(sectionsIn(fileSection), operatorSection) {
		for _, key := range s.names() {
			if !regexp.MustCompile(`(?m)^[^#]*\b` + key + `: `).MatchString(strings.ReplaceAll(all, ":\n", ": \n")) {
				t.Errorf("examples/rules.yaml does not show %s", key)
			}
		}
	}
}
