package rules

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// compiled is Schema in a validator of its own.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("rules.schema.json", document); err != nil {
		return nil, err
	}
	return compiler.Compile("rules.schema.json")
})

// validate answers what the schema says of a YAML document.
func validate(t testing.TB, source string) error {
	t.Helper()
	validator, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := decode([]byte(source))
	if err != nil || len(documents) != 1 || len(documents[0].Content) == 0 {
		return errors.New("no YAML document")
	}
	return validator.Validate(asJSON(t, documents[0].Content[0]))
}

// asJSON answers a YAML node as an editor hands it to a validator.
func asJSON(t testing.TB, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.MappingNode:
		object := make(map[string]any)
		for i := 0; i+1 < len(n.Content); i += 2 {
			object[n.Content[i].Value] = asJSON(t, n.Content[i+1])
		}
		return object
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = asJSON(t, item)
		}
		return list
	}
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		var value any
		if err := n.Decode(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	return n.Value
}

func TestTheSchemaTakesEveryExample(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(name, source); err != nil {
			continue // compose.yaml and kubernetes.yaml are no rules
		}
		if err := validate(t, string(source)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, _ := example(t, func(int) bool { return true })
	if err := validate(t, all); err != nil {
		t.Error(err)
	}
}

// beyondSchema are the refusals that a schema cannot say, by name: what depends
// on another place in the file, on the library's syntax, or on a meaning.
var beyondSchema = []string{
	"an anchor", "a tag", "header with credentials", "anonymous not last", "own paths equal", "events under path",
	"path under events", "own path unclean", "size overflow", "limit of debounce", "budget below max_body", "resource with id",
	"resource payload for delete", "under our own path", "on HEAD", "on with query", "on unbalanced",
	"on an expression of two lines", "on twice a name", "on a bad expression", "on a group", "on an anchor", "on an anchor inside", "on a huge expression",
	"too many rules", "on an empty parameter", "on an unclean path", "emit unlisted", "emit a bad value",
	"when a number for a text", "when a text for a status", "when a bad expression", "when an unknown parameter",
	"when an item without each", "payload an open brace", "payload with credentials", "payload a secret",
	"payload a secret key", "payload twice a key", "resource an unknown parameter", "max_items without each",
	"merge beside payload", "merge a secret", "pick a secret", "pick of thin", "omit of a delete", "mount a query",
	"mount and path with one parameter", "a suffix in a path", "an override that is a credential",
	"a resource's each with delete", "fetch twice", "fetch before a collection", "fetch with each", "fetch later, strictly",
	"fetch a query", "fetch what the caller writes", "fetch before by the answer", "fetched without fetch",
	"previous without fetch", "changed without fetch", "changed of a request", "a mount that spans", "on too many segments",
	"on dots in disguise", "on a backslash", "on many values", "on an expression without end", "emit an unknown parameter",
	"emit too many", "when status matches", "payload a long path", "payload a deep path", "resource credentials",
	"keep no secret", "event not emitted", "long description", "long example", "example twice", "example not JSON", "schema of no type",
	"schema reference", "example beside schema",
	"strip without a mount", "strip the root", "strip a parameter", "strip what is written in two ways",
}

func TestTheSchemaRefusesWhatASchemaCan(t *testing.T) {
	for _, refusal := range refusals {
		err := validate(t, refusal.source)
		switch beyond := slices.Contains(beyondSchema, refusal.name); {
		case beyond && err != nil:
			t.Errorf("%s: the schema refuses it after all; take it off the list", refusal.name)
		case !beyond && err == nil:
			t.Errorf("%s: the schema takes it:\n%s", refusal.name, refusal.source)
		}
	}
}

// places in a file where each section stands.
var wherever = []struct {
	section section
	formats []string
}{
	{fileSection, []string{"{%s}"}},
	{subscriptionsSection, []string{"subscriptions: {%s}"}},
	{limitsSection, []string{"subscriptions: {limits: {%s}}"}},
	{aboutSection, []string{"{resources: {contact: /contacts}, events: {contact.create: {%s}}}"}},
	{captureSection, []string{"capture: {%s}"}},
	{matchingSection, []string{"matching: {%s}"}},
	{resolverSection, []string{"identity: [{%s}]"}},
	{headerSection, []string{"identity: [{header: {%s}}]"}},
	{basicSection, []string{"identity: [{basic: {%s}}]"}},
	{anonymousSection, []string{"identity: [{anonymous: {%s}}]"}},
	{jwtSection, []string{"identity: [{jwt: {%s}}]"}},
	{keySource, []string{"identity: [{jwt: {keys: [{%s}]}}]"}},
	{keySection, []string{"identity: [{key: {%s}}]"}},
	{whoamiSection, []string{"identity: [{whoami: {%s}}]"}},
	{resourceSection, []string{"resources: {contact: {path: /c, %s}}", "resources: {contact: {%s}}"}},
	{ruleSection, []string{"rules: [{on: PUT /a, %s}]", "rules: [{%s}]"}},
	{operatorSection, []string{"rules: [{on: PUT /a, emit: a.b, fetch: before, when: {response.body.x: {%s}}}]"}},
	{fetchSection, []string{"rules: [{on: PUT /a, emit: a.b, fetch: {%s}}]"}},
	{fixedSection, []string{"rules: [{on: PUT /a, emit: a.b, user: {%s}}]"}},
}

// No option is declared that the parser does not read: to a value that no option
// has, both the parser and the schema object, at that very value.
func TestTheParserReadsEveryOptionThatTheSchemaHas(t *testing.T) {
	for _, place := range wherever {
		for _, key := range place.section.names() {
			if !slices.ContainsFunc(place.formats, func(format string) bool { return objectsTo(t, format, key) }) {
				t.Errorf("nobody reads %s in %s", key, place.formats[0])
			}
		}
		unknown := fmt.Sprintf(place.formats[0], "nobody: 1")
		if _, err := Parse("rules.yaml", []byte(unknown)); err == nil || validate(t, unknown) == nil {
			t.Errorf("an unknown key passes: %s", unknown)
		}
	}
}

func objectsTo(t *testing.T, format, key string) bool {
	const wrong = "[[[[]]]]"
	source := fmt.Sprintf(format, key+": "+wrong)
	at := strings.Index(source, wrong)
	_, err := Parse("rules.yaml", []byte(source))
	var mistakes Mistakes
	read := errors.As(err, &mistakes) && slices.ContainsFunc(mistakes, func(m Mistake) bool {
		return m.Column > at && m.Column <= at+4
	})
	err = validate(t, source)
	return read && err != nil && strings.Contains(err.Error(), "/"+key)
}

// The places above are all there are.
func TestEverySectionIsTried(t *testing.T) {
	tried := make(map[string]bool)
	for _, place := range wherever {
		tried[strings.Join(place.section.names(), " ")] = true
	}
	for _, s := range append(sectionsIn(fileSection), operatorSection) {
		if names := strings.Join(s.names(), " "); !tried[names] {
			t.Errorf("no place for the section with %s", names)
		}
		for _, o := range s.options() {
			if !strings.HasSuffix(o.about, ".") || len(o.about) < 10 {
				t.Errorf("%s says %q", o.key, o.about)
			}
		}
	}
}

func sectionsIn(k kind) []section {
	var all []section
	switch k := k.(type) {
	case section:
		all = append(all, k)
		for _, o := range k.options() {
			all = append(all, sectionsIn(o.kind)...)
		}
	case several:
		return sectionsIn(k.of)
	case listed:
		return sectionsIn(k.of)
	case named:
		return sectionsIn(k.of)
	case oneKind:
		for _, one := range k {
			all = append(all, sectionsIn(one)...)
		}
	}
	return all
}

func TestTheKeptSchemaIsCurrent(t *testing.T) {
	kept, err := os.ReadFile("../examples/rules.schema.json")
	if err != nil || !bytes.Equal(kept, Schema()) {
		t.Errorf("examples/rules.schema.json is not what `hookproxy schema` prints (%v)", err)
	}
}

func TestTheExamplesNameTheirSchema(t *testing.T) {
	for _, name := range []string{"rules", "envelope", "no-content", "partial-body"} {
		source, err := os.ReadFile("../examples/" + name + ".yaml")
		if err != nil || !bytes.HasPrefix(source, []byte("# yaml-language-server: $schema=rules.schema.json\n")) {
			t.Errorf("%s.yaml does not name it in its first line (%v)", name, err)
		}
	}
}
