package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hookproxy/hookproxy/rules"
)

// Written is a rules file made of a document.
type Written struct {
	// Source is the file: rules that rules.Parse takes, and goes on taking when
	// "#? " is deleted at the beginning of lines.
	Source []byte
	// Rules are how many entries are in force, Aside how many wait behind "#?",
	// and LeftOut how many operations no rule can be written for.
	Rules, Aside, LeftOut int
	// Who says that the document tells how to ask who is calling.
	Who bool
}

// Rules writes the rules file. It is the same for the same document. The error
// is that the document is too large for one.
func (d *Document) Rules() (*Written, error) {
	p := newPlanner(d.spec)
	var entries []*entry
	for _, o := range p.writes {
		entries = append(entries, p.plan(o))
	}
	entries = joined(entries)
	distinct(entries)
	w := &writing{mounts: mounts(p.home)}
	w.ownPaths(p.routes)
	w.sections()
	if w.broken() != "" { // a base path that cannot be one
		w.mounts = nil
		w.sections()
	}
	written := &Written{Who: p.whoPath() != nil}
	for _, e := range entries {
		if e.mistake == "" {
			e.mistake = w.mistakeIn(e)
		}
		switch {
		case e.mistake != "":
			written.LeftOut++
		case e.aside != "":
			written.Aside++
		default:
			written.Rules++
		}
	}
	mount := ""
	if len(w.mounts) > 0 {
		mount = w.mounts[0]
	}
	w.header(d, written)
	w.identity(p.whoami(d.spec, mount))
	w.out.Write(w.settings)
	w.out.WriteString("\nrules:\n")
	for _, e := range entries {
		w.out.WriteByte('\n')
		w.entry(e)
	}
	written.Source = w.out.Bytes()
	if _, err := rules.Parse("rules.yaml", written.Source); err != nil {
		return nil, fmt.Errorf("the rules for this document are none that can be loaded: %w", err)
	}
	return written, nil
}

// writing is a rules file being written.
type writing struct {
	out      bytes.Buffer
	settings []byte // the sections subscriptions and matching
	mounts   []string
	own      string // before our own endpoints' paths; "" for where they usually are
}

// ownPaths puts our own endpoints where the API has none of its own.
func (w *writing) ownPaths(routes []route) {
	mounts := w.mounts
	if len(mounts) == 0 {
		mounts = []string{""}
	}
	taken := func(path string) bool {
		return slices.ContainsFunc(routes, func(r route) bool {
			return slices.ContainsFunc(mounts, func(mount string) bool { return rules.Under(strings.TrimSuffix(mount, "/")+r.path, path) })
		})
	}
	if !taken(rules.DefaultSubscriptionsPath) && !taken(rules.DefaultEventsPath) {
		return
	}
	w.own = "/hookproxy"
	for n := 2; taken(w.own); n++ {
		w.own = fmt.Sprintf("/hookproxy-%d", n)
	}
}

func (w *writing) sections() {
	var b bytes.Buffer
	if w.own != "" {
		fmt.Fprintf(&b, "\n# The API has paths of its own where hookproxy's endpoints usually are.\nsubscriptions:\n"+
			"  path: %s/subscription/\n  events_path: %s/event/\n", w.own, w.own)
	}
	if len(w.mounts) > 0 {
		quoted := make([]string, len(w.mounts))
		for i, mount := range w.mounts {
			quoted[i] = quote(mount)
		}
		fmt.Fprintf(&b, "\n# Where the API's paths begin, by its servers. The paths below are written without it.\n"+
			"# If --upstream ends with it, clients ask for paths without: delete it here, and before what identity gets.\nmatching:\n  mount: [%s]\n",
			strings.Join(quoted, ", "))
	}
	w.settings = b.Bytes()
}

// broken answers why the settings alone are no rules file, or "".
func (w *writing) broken() string {
	if len(w.settings) == 0 {
		return ""
	}
	_, err := rules.Parse("rules.yaml", w.settings)
	return firstMistake(err)
}

// mistakeIn answers why an entry cannot be a rule, or "".
func (w *writing) mistakeIn(e *entry) string {
	var b bytes.Buffer
	b.Write(w.settings)
	b.WriteString("\nrules:\n")
	e.write(&b, "  ")
	_, err := rules.Parse("rules.yaml", b.Bytes())
	return firstMistake(err)
}

func firstMistake(err error) string {
	var mistakes rules.Mistakes
	switch {
	case err == nil:
		return ""
	case errors.As(err, &mistakes):
		return mistakes[0].Message
	}
	return err.Error()
}

func (w *writing) header(d *Document, n *Written) {
	title := "an OpenAPI document"
	if info := d.spec.Info; info != nil && info.Title != "" {
		title = oneLine(info.Title+" "+info.Version, 100)
	}
	fmt.Fprintf(&w.out, `# Rules for %s
#
# Written by hookproxy init from its OpenAPI document: %d rules in force, and %d
# behind "#?", to be put in force by deleting that; %d operations are left out.
#
# Before it serves:
#   - look at identity, right below: it is a guess;
#   - read through the rules, and delete what nobody would subscribe to. The
#     document says what the API answers; whether it does, "hookproxy try" shows;
#   - hookproxy check rules.yaml; with "mode: observe" events are only counted.
#
# A delete carries what is deleted with "fetch: before" and "payload: previous".
`, title, n.Rules, n.Aside, n.LeftOut)
}

func (w *writing) identity(lines []string) {
	w.out.WriteString("\nidentity:\n")
	for _, line := range lines {
		w.out.WriteString("  " + line + "\n")
	}
}

func (w *writing) entry(e *entry) {
	for _, about := range e.about {
		if about != "" {
			fmt.Fprintf(&w.out, "  # %s\n", about)
		}
	}
	if e.mistake != "" {
		fmt.Fprintf(&w.out, "  # Left out: %s %s; %s.\n", oneLine(strings.Join(e.methods, "|"), 100), oneLine(e.path, 100), oneLine(e.mistake, 300))
		return
	}
	for _, why := range e.why {
		fmt.Fprintf(&w.out, "  # %s\n", oneLine(why, 300))
	}
	indent := "  "
	if e.aside != "" {
		fmt.Fprintf(&w.out, "  # Not in force: %s.\n", oneLine(e.aside, 300))
		indent = "  #? "
	}
	e.write(&w.out, indent)
}

// write writes the rule itself.
func (e *entry) write(b *bytes.Buffer, indent string) {
	fmt.Fprintf(b, "%s- on: %s\n", indent, quote(strings.Join(e.methods, "|")+" "+e.path))
	fmt.Fprintf(b, "%s  emit: %s\n", indent, quote(e.event))
	for _, o := range e.options {
		fmt.Fprintf(b, "%s  %s: %s\n", indent, o.key, o.value)
	}
}

// plain are texts that mean themselves in YAML, in lists and maps too.
var plain = regexp.MustCompile(`^[A-Z|]+ /[A-Za-z0-9_./|{}-]*$|^/?[A-Za-z_][A-Za-z0-9_./-]*$`)

// otherKinds are texts that YAML takes for something else.
var otherKinds = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null|nan|inf)$`)

// quote writes a text as YAML.
func quote(text string) string {
	if plain.MatchString(text) && !otherKinds.MatchString(text) {
		return text
	}
	return strconv.Quote(text) // whose escapes YAML has too
}

func listed(statuses []int) string {
	all := make([]string, len(statuses))
	for i, status := range statuses {
		all[i] = strconv.Itoa(status)
	}
	return strings.Join(all, ", ")
}

// aboutOf answers what the document says an operation does, on one line.
func aboutOf(o *operation) string {
	text := o.Summary
	if strings.TrimSpace(text) == "" {
		text, _, _ = strings.Cut(strings.TrimSpace(o.Description), "\n")
	}
	said := oneLine(text, 100)
	if o.Deprecated {
		said = strings.TrimSpace(said + " (deprecated)")
	}
	return said
}

func about(what, said string) string {
	if said = oneLine(said, 100); said == "" {
		return oneLine(what, 100)
	}
	return oneLine(what, 100) + ": " + said
}

// oneLine makes a text safe for a comment, which ends with its line: YAML knows
// more line breaks than \n.
func oneLine(text string, most int) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(text); len(runes) > most {
		return strings.TrimSpace(string(runes[:most])) + "…"
	}
	return text
}
