package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/hookproxy/hookproxy/rules"
)

// explainNearest is how many rules that do not match are shown.
const explainNearest = 5

// explainCommand says what each rule makes of a request, and why.
type explainCommand struct {
	Request string `arg:"" help:"Method and path, such as 'POST /contacts'."`
	Status  int    `help:"The status that the API answers."`
	Rules   string `default:"rules.yaml" env:"HOOKPROXY_RULES" placeholder:"FILE" help:"The rules file."`
	All     bool   `help:"Show every rule, not the nearest only."`
}

// Run prints the rules that match, and the nearest of the others.
func (c *explainCommand) Run(std streams) error {
	method, target, err := parseRequest(c.Request)
	if err != nil {
		return settingErrors{err}
	}
	if c.Status != 0 && (c.Status < 100 || c.Status > 999) {
		return settingErrors{fmt.Errorf("--status: expected one such as 201, found %d", c.Status)}
	}
	file, err := readRules(c.Rules, std)
	if err != nil {
		return err
	}
	path := target.EscapedPath()
	fmt.Fprintf(std.out, "%s %s\n", method, path)
	if why := passedBy(file, method, path); why != "" {
		fmt.Fprintf(std.out, "\n%s\n", why)
		return nil
	}
	c.print(std.out, file.Explain(method, path, c.Status))
	return nil
}

// passedBy says why no rule is looked at.
func passedBy(file *rules.File, method, path string) string {
	if method == http.MethodHead || method == http.MethodOptions {
		return method + " is never captured, whatever the rules say."
	}
	for _, own := range []string{file.Subscriptions.Path, file.Subscriptions.EventsPath} {
		if rules.Under(path, own) {
			return "hookproxy answers this itself: it lies below " + own + ", and never reaches the API or the rules."
		}
	}
	return ""
}

func (c *explainCommand) print(w io.Writer, all []rules.Considered) {
	matching := slices.IndexFunc(all, func(one rules.Considered) bool { return len(one.Why) > 0 })
	if matching < 0 {
		matching = len(all)
	}
	if matching == 0 {
		fmt.Fprintln(w, "\nNo rule matches.")
	} else {
		fmt.Fprintln(w, "\nMatching:")
	}
	for _, one := range all[:matching] {
		printConsidered(w, one)
	}
	misses := all[matching:]
	if !c.All {
		misses = misses[:min(len(misses), explainNearest)]
	}
	if len(misses) > 0 {
		fmt.Fprintln(w, "\nNot matching, the nearest first:")
	}
	for _, one := range misses {
		printConsidered(w, one)
	}
	if left := len(all) - matching - len(misses); left > 0 {
		fmt.Fprintf(w, "\n%d more are further away; --all shows them.\n", left)
	}
}

func printConsidered(w io.Writer, one rules.Considered) {
	r := one.Rule
	fmt.Fprintf(w, "  %s %s → %s  (%s)\n", r.Method, r.Path, r.Emit, r.Position)
	for _, why := range one.Why {
		fmt.Fprintf(w, "      %s\n", why)
	}
	for _, when := range one.When {
		fmt.Fprintf(w, "      only when %s\n", when)
	}
}
