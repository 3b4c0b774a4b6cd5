package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Why answers in words why a rule made no event of an exchange: r is a Result
// that Derive skipped. It is for people to read, and quotes what it compared.
func (f *File) Why(x *Exchange, r Result) string {
	o := r.Rule.options
	switch r.Skipped {
	case SkippedStatus:
		return r.Rule.wantsStatus(x.Status)
	case SkippedWhen:
		return "when does not hold: " + f.unmet(x, r)
	case SkippedNotJSON:
		return "a page came (" + x.ResponseHeader.Get("Content-Type") + ") where the rule reads JSON"
	case SkippedNoItems:
		return "each: " + o.each.text + " is no list, or an empty one"
	}
	return "the response is never captured: " + r.Skipped
}

func (r *Rule) wantsStatus(status int) string {
	statuses := make([]string, len(r.options.statuses))
	for i, one := range r.options.statuses {
		statuses[i] = strconv.Itoa(one)
	}
	return fmt.Sprintf("the status is %d; the rule wants %s", status, either(statuses))
}

// either lists alternatives.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// unmet answers the first condition that does not hold, and what stands there.
func (f *File) unmet(x *Exchange, r Result) string {
	match := f.Match(r.Rule.Method, x.Path)
	if match == nil {
		return ""
	}
	i := slices.IndexFunc(match.hits, func(h hit) bool { return h.rule == r.Rule })
	if i < 0 {
		return ""
	}
	sc := scene{reading: &reading{Exchange: x}, hit: match.hits[i]}
	if each := r.Rule.options.each; each != nil {
		if items := sc.value(*each).json.Array(); r.Item < len(items) {
			sc.item = items[r.Item]
		}
	}
	for _, c := range r.Rule.options.when {
		if known, holds := sc.judge(c); !known || holds {
			continue
		}
		v := sc.value(c.source)
		if c.previous != nil {
			return c.shown + ", where " + c.source.text + " was " + shownValue(sc.value(*c.previous)) + " and is " + shownValue(v)
		}
		return c.shown + ", where " + c.source.text + " is " + shownValue(v)
	}
	return ""
}

// shownValue is short, and on one line.
func shownValue(v value) string {
	const most = 60
	if !v.json.Exists() {
		return "missing"
	}
	shown := strings.Join(strings.Fields(v.json.Raw), " ")
	if runes := []rune(shown); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return shown
}
